// The way back through a convolution: to the image, and to the kernel and bias. Neither the columns nor the gradient
// before the ReLU and the pooling is written to memory.

#include "tiles.cuh"

// dz, the gradient of the product. It is dy; behind a ReLU it is dy where y > 0; behind a pooling of 2 x 2 outputs it
// is that at the winner, and 0 at the other three.
struct Upstream {
    const REAL* dy;
    const REAL* y;                // null without ReLU
    const unsigned char* winner;  // null without pooling
    int FT;

    __device__ __forceinline__ REAL at(INDEX place) const {
        return y ? dy[place] * (REAL)(y[place] > 0) : dy[place];
    }

    // Window m, counted as in `window_pixel`.
    __device__ __forceinline__ REAL counted(INDEX m, int f) const {
        if (!winner) return at(m * FT + f);
        const INDEX place = m / 4 * FT + f;
        return winner[place] == m % 4 ? at(place) : (REAL)0;
    }

    __device__ __forceinline__ REAL window(INDEX n, int od, int oh, int ow, const Windows& g, int f) const {
        if (!winner) return at((((n * g.OD + od) * g.OH + oh) * g.OW + ow) * FT + f);
        const INDEX place = (((n * g.OD + od) * (g.OH / 2) + oh / 2) * (g.OW / 2) + ow / 2) * FT + f;
        return winner[place] == oh % 2 * 2 + ow % 2 ? at(place) : (REAL)0;
    }
};

// --- the image's gradient ---------------------------------------------------------------------------------------------
//
// dx is gathered, pixel by pixel: dx_{hw,c} = sum over positions (i, j) and filters f of dz at the one window that sees
// the pixel at that position, if there is one, times W_{ij,c,f}. That is a product again, of rows that are pixels:
// column k = (position, f).

struct Reaching {
    Upstream up;
    const Windows& g;
    int F;

    __device__ __forceinline__ Step column(int k) const {
        Step s = step_to(k / F, g, 1);
        s.at = k % F;
        return s;
    }

    // The pixel holds the image's number in `at`, and its coordinates with the padding.
    __device__ __forceinline__ REAL value(const Pixel& p, const Step& s) const {
        int d = p.d - s.d, h = p.h - s.h, w = p.w - s.w;
        if (d < 0 || h < 0 || w < 0) return 0;
        if (g.sd > 1 || g.sh > 1 || g.sw > 1) {
            if (d % g.sd || h % g.sh || w % g.sw) return 0;
            d /= g.sd, h /= g.sh, w /= g.sw;
        }
        if (d >= g.OD || h >= g.OH || w >= g.OW) return 0;
        return up.window(p.at, d, h, w, g, (int)s.at);
    }
};

struct Turned {
    const REAL* kernel;  // (positions, C, FT)
    int F, FT, C, c0;

    __device__ __forceinline__ REAL operator()(int k, int c) const {
        return c0 + c < C ? kernel[((INDEX)(k / F) * C + c0 + c) * FT + k % F] : (REAL)0;
    }
};

template <int TX, int R, int S>
__device__ __forceinline__ void image_gradient(Tile<TX, R, S>& tile, const Upstream& up,
                                               const REAL* __restrict__ kernel, const REAL* __restrict__ bias,
                                               REAL* __restrict__ dx, const Windows& g, INDEX M, int CT, int F) {
    const int ROWS = Tile<TX, R, S>::ROWS, CHANNELS = Tile<TX, R, S>::FILTERS;
    const int t = threadIdx.x, tx = t % TX, ty = t / TX;
    const INDEX m0 = (INDEX)blockIdx.x * ROWS;
    const int c0 = blockIdx.y * CHANNELS, z = blockIdx.z;

    for (int r = t; r < ROWS; r += THREADS) {
        INDEX m = m0 + r < M ? m0 + r : 0;
        Pixel& p = tile.rows[r];
        p.w = (int)(m % g.W) + g.pw;
        m /= g.W;
        p.h = (int)(m % g.H) + g.ph;
        m /= g.H;
        p.d = m0 + r < M ? (int)(m % g.D) + g.pd : -(1 << 30);  // no window reaches a pixel that does not exist
        p.at = m / g.D;
    }
    __syncthreads();
    REAL sum[R][S];
    const Upstream own = {up.dy + z * F, up.y ? up.y + z * F : nullptr, up.winner ? up.winner + z * F : nullptr, up.FT};
    multiply(tile, Reaching{own, g, F}, Turned{kernel + z * F, F, up.FT, g.C, c0}, g.KD * g.KH * g.KW * F, sum);

#pragma unroll
    for (int s = 0; s < S; s++) {
        const int c = c0 + tx + s * TX;
        if (c >= g.C) continue;
        const REAL offset = bias ? bias[z * g.C + c] : (REAL)0;
#pragma unroll
        for (int r = 0; r < R; r++)
            if (m0 + ty * R + r < M) dx[(m0 + ty * R + r) * CT + z * g.C + c] = sum[r][s] + offset;
    }
}

KERNEL image_gradient_64(const REAL* __restrict__ dy, const REAL* __restrict__ y,
                         const unsigned char* __restrict__ winner, const REAL* __restrict__ kernel,
                         const REAL* __restrict__ bias, REAL* __restrict__ dx, Windows g, INDEX M, int CT, int F,
                         int FT) {
    __shared__ Tile<16, 8, 4> tile;
    image_gradient(tile, Upstream{dy, y, winner, FT}, kernel, bias, dx, g, M, CT, F);
}

KERNEL image_gradient_32(const REAL* __restrict__ dy, const REAL* __restrict__ y,
                         const unsigned char* __restrict__ winner, const REAL* __restrict__ kernel,
                         const REAL* __restrict__ bias, REAL* __restrict__ dx, Windows g, INDEX M, int CT, int F,
                         int FT) {
    __shared__ Tile<8, 8, 4> tile;
    image_gradient(tile, Upstream{dy, y, winner, FT}, kernel, bias, dx, g, M, CT, F);
}

KERNEL image_gradient_16(const REAL* __restrict__ dy, const REAL* __restrict__ y,
                         const unsigned char* __restrict__ winner, const REAL* __restrict__ kernel,
                         const REAL* __restrict__ bias, REAL* __restrict__ dx, Windows g, INDEX M, int CT, int F,
                         int FT) {
    __shared__ Tile<8, 8, 2> tile;
    image_gradient(tile, Upstream{dy, y, winner, FT}, kernel, bias, dx, g, M, CT, F);
}

KERNEL image_gradient_small(const REAL* __restrict__ dy, const REAL* __restrict__ y,
                            const unsigned char* __restrict__ winner, const REAL* __restrict__ kernel,
                            const REAL* __restrict__ bias, REAL* __restrict__ dx, Windows g, INDEX M, int CT, int F,
                            int FT) {
    __shared__ Tile<32, 4, 1> tile;
    image_gradient(tile, Upstream{dy, y, winner, FT}, kernel, bias, dx, g, M, CT, F);
}

// --- the kernel's and the bias's gradient -----------------------------------------------------------------------------
//
// dW = X^T dz is a sum over all windows of all images. It is cut into `parts`, each summed by blocks of its own, and
// `sum_parts` adds them up in their order. A row of ones below X^T has db as its product.

const int ROWS = 64, PIECE = 32;  // rows of X^T that a block makes, windows that it takes at a time

template <int S>
struct Strip {
    REAL x[PIECE][ROWS + 4];
    REAL dz[PIECE][16 * S];
    Pixel windows[THREADS];
};

template <int S>
__device__ __forceinline__ void kernel_gradient(Strip<S>& strip, const REAL* __restrict__ x, const Upstream& up,
                                                REAL* __restrict__ parts, const Windows& g, INDEX M, INDEX step,
                                                int CT, int F, int groups, int ones) {
    const int FILTERS = 16 * S, K = g.KD * g.KH * g.KW * g.C, rows = K + ones;
    const int t = threadIdx.x, tx = t % 16, ty = t / 16;
    const int k0 = blockIdx.x * ROWS, f0 = blockIdx.y * FILTERS, z = blockIdx.z % groups, part = blockIdx.z / groups;
    const INDEX first = part * step, last = first + step < M ? first + step : M;

    // A thread fetches one row of X^T, so one channel at one position of every window, and one column of dz.
    const int k = k0 + t % ROWS, f = f0 + t % FILTERS;
    Step seen = step_to(k < K ? k / g.C : 0, g, CT);
    seen.at += k % g.C + z * g.C;

    REAL sum[4][S];
#pragma unroll
    for (int r = 0; r < 4; r++)
#pragma unroll
        for (int s = 0; s < S; s++) sum[r][s] = 0;

    for (INDEX m0 = first; m0 < last; m0 += PIECE) {
        if ((m0 - first) % THREADS == 0) {  // where the next 256 windows lie
            strip.windows[t] = window_pixel(m0 + t < last ? m0 + t : first, up.winner, g, CT);
            __syncthreads();
        }
        const int known = (int)((m0 - first) % THREADS);
#pragma unroll
        for (int i = 0; i < PIECE * ROWS / THREADS; i++) {
            const int j = t / ROWS + i * (THREADS / ROWS);
            const Pixel& p = strip.windows[known + j];
            REAL value = 0;
            if (k < K && m0 + j < last && inside(p, seen, g)) value = x[p.at + seen.at];
            strip.x[j][t % ROWS] = k == K ? (REAL)1 : value;
        }
#pragma unroll
        for (int i = 0; i < PIECE * FILTERS / THREADS; i++) {
            const int j = t / FILTERS + i * (THREADS / FILTERS);
            strip.dz[j][t % FILTERS] = f < F && m0 + j < last ? up.counted(m0 + j, z * F + f) : (REAL)0;
        }
        __syncthreads();
#pragma unroll 8
        for (int j = 0; j < PIECE; j++) {
            REAL a[4], b[S];
#pragma unroll
            for (int r = 0; r < 4; r++) a[r] = strip.x[j][ty * 4 + r];
#pragma unroll
            for (int s = 0; s < S; s++) b[s] = strip.dz[j][tx + s * 16];
#pragma unroll
            for (int r = 0; r < 4; r++)
#pragma unroll
                for (int s = 0; s < S; s++) sum[r][s] += a[r] * b[s];
        }
        __syncthreads();
    }
#pragma unroll
    for (int r = 0; r < 4; r++)
#pragma unroll
        for (int s = 0; s < S; s++) {
            const int row = k0 + ty * 4 + r, column = f0 + tx + s * 16;
            if (row < rows && column < F)
                parts[((INDEX)part * rows + row) * up.FT + z * F + column] = sum[r][s];
        }
}

KERNEL kernel_gradient_64(const REAL* __restrict__ x, const REAL* __restrict__ dy, const REAL* __restrict__ y,
                          const unsigned char* __restrict__ winner, REAL* __restrict__ parts, Windows g, INDEX M,
                          INDEX step, int CT, int F, int FT, int groups, int ones) {
    __shared__ Strip<4> strip;
    kernel_gradient(strip, x, Upstream{dy, y, winner, FT}, parts, g, M, step, CT, F, groups, ones);
}

KERNEL kernel_gradient_32(const REAL* __restrict__ x, const REAL* __restrict__ dy, const REAL* __restrict__ y,
                          const unsigned char* __restrict__ winner, REAL* __restrict__ parts, Windows g, INDEX M,
                          INDEX step, int CT, int F, int FT, int groups, int ones) {
    __shared__ Strip<2> strip;
    kernel_gradient(strip, x, Upstream{dy, y, winner, FT}, parts, g, M, step, CT, F, groups, ones);
}

KERNEL kernel_gradient_16(const REAL* __restrict__ x, const REAL* __restrict__ dy, const REAL* __restrict__ y,
                          const unsigned char* __restrict__ winner, REAL* __restrict__ parts, Windows g, INDEX M,
                          INDEX step, int CT, int F, int FT, int groups, int ones) {
    __shared__ Strip<1> strip;
    kernel_gradient(strip, x, Upstream{dy, y, winner, FT}, parts, g, M, step, CT, F, groups, ones);
}
