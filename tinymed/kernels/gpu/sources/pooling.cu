// Pooling: a thread owns one value, forward of the output, backward of the image. Channels lie side by side, so that
// neighbouring threads read and write side by side. No window has gaps.

#include "reduce.cuh"

// One window (n, od, oh, ow): where it begins and ends inside the image, and what it sees.
struct Box {
    int d0, d1, h0, h1, w0, w1;

    __device__ __forceinline__ Box(int od, int oh, int ow, const Windows& g) {
        const int d = od * g.sd - g.pd, h = oh * g.sh - g.ph, w = ow * g.sw - g.pw;
        d0 = d > 0 ? d : 0, d1 = d + g.KD < g.D ? d + g.KD : g.D;
        h0 = h > 0 ? h : 0, h1 = h + g.KH < g.H ? h + g.KH : g.H;
        w0 = w > 0 ? w : 0, w1 = w + g.KW < g.W ? w + g.KW : g.W;
    }

    __device__ __forceinline__ REAL size() const {
        return (REAL)((d1 - d0) * (h1 - h0) * (w1 - w0));
    }
};

// The maximum of each window and at which position it lies: the first of equals; NaN, if there is one, the first NaN.
KERNEL max_pool(const REAL* __restrict__ x, REAL* __restrict__ y, unsigned char* __restrict__ winner, Windows g,
                INDEX size) {
    const INDEX i = thread_number();
    if (i >= size) return;
    const int c = (int)(i % g.C);
    INDEX n = i / g.C;
    const int ow = (int)(n % g.OW);
    n /= g.OW;
    const int oh = (int)(n % g.OH);
    n /= g.OH;
    const int od = (int)(n % g.OD);
    n /= g.OD;
    const Box box(od, oh, ow, g);
    REAL best = 0;
    int which = -1;
    for (int d = box.d0; d < box.d1; d++)
        for (int h = box.h0; h < box.h1; h++)
            for (int w = box.w0; w < box.w1; w++) {
                const REAL value = x[(((n * g.D + d) * g.H + h) * g.W + w) * g.C + c];
                if (which < 0 || value > best || (value != value && best == best)) {
                    best = value;
                    which = ((d + g.pd - od * g.sd) * g.KH + h + g.ph - oh * g.sh) * g.KW + w + g.pw - ow * g.sw;
                }
            }
    y[i] = best;
    winner[i] = (unsigned char)which;
}

// The first window that reaches coordinate i (counted with the padding), and the last.
__device__ __forceinline__ int first_reaching(int i, int K, int stride) {
    return i < K ? 0 : (i - K) / stride + 1;
}

__device__ __forceinline__ int last_reaching(int i, int stride, int count) {
    return i / stride < count ? i / stride : count - 1;
}

// dx: each pixel takes the gradients of the windows that it has won.
KERNEL max_pool_backward(const REAL* __restrict__ dy, const unsigned char* __restrict__ winner, REAL* __restrict__ dx,
                         Windows g, INDEX size) {
    const INDEX i = thread_number();
    if (i >= size) return;
    const int c = (int)(i % g.C);
    INDEX n = i / g.C;
    const int w = (int)(n % g.W) + g.pw;
    n /= g.W;
    const int h = (int)(n % g.H) + g.ph;
    n /= g.H;
    const int d = (int)(n % g.D) + g.pd;
    n /= g.D;
    REAL total = 0;
    for (int od = first_reaching(d, g.KD, g.sd); od <= last_reaching(d, g.sd, g.OD); od++)
        for (int oh = first_reaching(h, g.KH, g.sh); oh <= last_reaching(h, g.sh, g.OH); oh++)
            for (int ow = first_reaching(w, g.KW, g.sw); ow <= last_reaching(w, g.sw, g.OW); ow++) {
                const INDEX place = (((n * g.OD + od) * g.OH + oh) * g.OW + ow) * g.C + c;
                const int position = ((d - od * g.sd) * g.KH + h - oh * g.sh) * g.KW + w - ow * g.sw;
                if (winner[place] == position) total += dy[place];
            }
    dx[i] = total;
}

// The mean of what each window sees of the image.
KERNEL average_pool(const REAL* __restrict__ x, REAL* __restrict__ y, Windows g, INDEX size) {
    const INDEX i = thread_number();
    if (i >= size) return;
    const int c = (int)(i % g.C);
    INDEX n = i / g.C;
    const int ow = (int)(n % g.OW);
    n /= g.OW;
    const int oh = (int)(n % g.OH);
    n /= g.OH;
    const int od = (int)(n % g.OD);
    n /= g.OD;
    const Box box(od, oh, ow, g);
    REAL total = 0;
    for (int d = box.d0; d < box.d1; d++)
        for (int h = box.h0; h < box.h1; h++)
            for (int w = box.w0; w < box.w1; w++) total += x[(((n * g.D + d) * g.H + h) * g.W + w) * g.C + c];
    y[i] = total / box.size();
}

// dx: each pixel takes its share of every window that saw it.
KERNEL average_pool_backward(const REAL* __restrict__ dy, REAL* __restrict__ dx, Windows g, INDEX size) {
    const INDEX i = thread_number();
    if (i >= size) return;
    const int c = (int)(i % g.C);
    INDEX n = i / g.C;
    const int w = (int)(n % g.W) + g.pw;
    n /= g.W;
    const int h = (int)(n % g.H) + g.ph;
    n /= g.H;
    const int d = (int)(n % g.D) + g.pd;
    n /= g.D;
    REAL total = 0;
    for (int od = first_reaching(d, g.KD, g.sd); od <= last_reaching(d, g.sd, g.OD); od++)
        for (int oh = first_reaching(h, g.KH, g.sh); oh <= last_reaching(h, g.sh, g.OH); oh++)
            for (int ow = first_reaching(w, g.KW, g.sw); ow <= last_reaching(w, g.sw, g.OW); ow++)
                total += dy[(((n * g.OD + od) * g.OH + oh) * g.OW + ow) * g.C + c] / Box(od, oh, ow, g).size();
    dx[i] = total;
}

// --- the whole image as one window ------------------------------------------------------------------------------------
//
// x is (N, P, C): a block takes one image and as many channels as it has threads along x; those along y share the P
// places.

// The mean over all places.
KERNEL global_average_pool(const REAL* __restrict__ x, REAL* __restrict__ y, int P, int C, int tiles) {
    __shared__ REAL sums[256];
    const int c = blockIdx.x % tiles * blockDim.x + threadIdx.x;
    const INDEX n = blockIdx.x / tiles;
    REAL own = 0;
    if (c < C)
        for (int p = threadIdx.y; p < P; p += blockDim.y) own += x[(n * P + p) * C + c];
    const REAL total = sum_along_y(sums, own);
    if (threadIdx.y == 0 && c < C) y[n * C + c] = total / P;
}

// Whether value a at place i takes the lead over value b at place j.
__device__ __forceinline__ bool leads(REAL a, int i, REAL b, int j) {
    if (i < 0 || j < 0) return i >= 0;
    if (a != a || b != b) return a != a && (b == b || i < j);
    return a > b || (a == b && i < j);
}

// The maximum over all places and where it lies first; of NaNs the first.
KERNEL global_max_pool(const REAL* __restrict__ x, REAL* __restrict__ y, long long* __restrict__ winner, int P, int C,
                       int tiles) {
    __shared__ REAL values[256];
    __shared__ int places[256];
    const int c = blockIdx.x % tiles * blockDim.x + threadIdx.x, mine = threadIdx.y * blockDim.x + threadIdx.x;
    const INDEX n = blockIdx.x / tiles;
    REAL best = 0;
    int which = -1;
    if (c < C)
        for (int p = threadIdx.y; p < P; p += blockDim.y) {
            const REAL value = x[(n * P + p) * C + c];
            if (leads(value, p, best, which)) best = value, which = p;
        }
    values[mine] = best, places[mine] = which;
    for (int half = blockDim.y / 2; half > 0; half /= 2) {
        __syncthreads();
        const int other = mine + half * blockDim.x;
        if ((int)threadIdx.y < half && leads(values[other], places[other], values[mine], places[mine]))
            values[mine] = values[other], places[mine] = places[other];
    }
    if (threadIdx.y == 0 && c < C) y[n * C + c] = values[mine], winner[n * C + c] = places[mine];
}

// dx (N, P, C): dy / P everywhere if there is no winner, else dy at the winner and 0 elsewhere.
KERNEL global_pool_backward(const REAL* __restrict__ dy, const long long* __restrict__ winner, REAL* __restrict__ dx,
                            int P, int C, INDEX size) {
    const INDEX i = thread_number();
    if (i >= size) return;
    const INDEX place = i / C / P * C + i % C;
    if (!winner) dx[i] = dy[place] / P;
    else dx[i] = winner[place] == i / C % P ? dy[place] : (REAL)0;
}
