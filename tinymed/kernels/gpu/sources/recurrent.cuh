// What the recurrent sources share. A block takes ROWS samples through all steps, alone: it never waits for another one.
// Of each matrix product a thread owns one column for the whole sequence; the first KEPT of its weights stay in
// registers, the rest in shared memory (REST_SHARED) or, where that is too small, in the cache behind the large memory.
// The state lies in shared memory, whence all threads read the same four values at once; a step has two barriers. Values
// of the AHEAD next steps are on their way from the large memory.

#ifndef UNITS  // compiled on its own: any sizes will do
#define UNITS 6
#define KEPT 4
#define ROWS 2
#define AHEAD 2
#define PHI 1
#define SIGMA 2
#define REST_SHARED 1
#endif

#define PADDED ((UNITS + 3) / 4 * 4)       // room for one state, read four values at a time; what is beyond UNITS is zero
#define WHOLE_WARPS(n) (((n) + 31) / 32 * 32)
#define ITEMS(threads) ((ROWS * UNITS + (threads) - 1) / (threads))  // states of each thread, where threads own states

struct __align__(16) Four {
    REAL a, b, c, d;
};

template <int CODE>
__device__ __forceinline__ REAL activate(REAL x) {
    if (CODE == 1) return tanh(x);
    if (CODE == 2) return REAL(1) / (REAL(1) + exp(-x));
    if (CODE == 3) return x < 0 ? REAL(0) : x;  // NaN stays NaN
    return x;
}

// The slope, where the activation gave y.
template <int CODE>
__device__ __forceinline__ REAL slope(REAL y) {
    if (CODE == 1) return REAL(1) - y * y;
    if (CODE == 2) return y * (REAL(1) - y);
    if (CODE == 3) return y > 0 ? REAL(1) : REAL(0);
    return REAL(1);
}

// The weights of one thread: number k lies at from[k * stride]. Those that are not kept are read again at every step.
template <int THREADS>
struct Weights {
    REAL kept[KEPT];
    const REAL* rest;
    int stride;

    __device__ __forceinline__ void load(const REAL* from, int every, bool any, REAL* room) {
#pragma unroll
        for (int k = 0; k < KEPT; k++) kept[k] = any && k < UNITS ? from[(INDEX)k * every] : REAL(0);
        rest = any ? from + (INDEX)KEPT * every : nullptr;
        stride = every;
        if (REST_SHARED && KEPT < PADDED) {
            rest = room + threadIdx.x;  // read by this thread alone
            stride = THREADS;
            for (int k = KEPT; k < PADDED; k++)
                room[(k - KEPT) * THREADS + threadIdx.x] = any && k < UNITS ? from[(INDEX)k * every] : REAL(0);
        }
    }

    __device__ __forceinline__ REAL at(int k) const {
        if (REST_SHARED) return rest[(k - KEPT) * stride];
        return rest && k < UNITS ? rest[(INDEX)(k - KEPT) * stride] : REAL(0);
    }

    // Each row's product with the state `seen` (ROWS, `row`): four sums side by side, so that no addition waits for the
    // one before it, and always in the same order.
    __device__ __forceinline__ void products(const REAL* seen, int row, REAL* out) const {
        REAL sums[ROWS][4];
#pragma unroll
        for (int r = 0; r < ROWS; r++) sums[r][0] = sums[r][1] = sums[r][2] = sums[r][3] = 0;
#pragma unroll
        for (int k = 0; k < KEPT; k += 4) add(seen + k, row, kept[k], kept[k + 1], kept[k + 2], kept[k + 3], sums);
        for (int k = KEPT; k < PADDED; k += 4) add(seen + k, row, at(k), at(k + 1), at(k + 2), at(k + 3), sums);
#pragma unroll
        for (int r = 0; r < ROWS; r++) out[r] = (sums[r][0] + sums[r][1]) + (sums[r][2] + sums[r][3]);
    }

    static __device__ __forceinline__ void add(
        const REAL* seen, int row, REAL w0, REAL w1, REAL w2, REAL w3, REAL (*sums)[4]) {
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            const Four x = *reinterpret_cast<const Four*>(seen + r * row);
            sums[r][0] += x.a * w0;
            sums[r][1] += x.b * w1;
            sums[r][2] += x.c * w2;
            sums[r][3] += x.d * w3;
        }
    }
};

// Set shared memory to zero, for the places behind UNITS that nobody writes.
__device__ __forceinline__ void clear(REAL* room, int count) {
    for (int i = threadIdx.x; i < count; i += blockDim.x) room[i] = 0;
}
