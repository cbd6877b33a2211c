// The simple recurrent network: all steps of a sequence in one launch, forward and backward (see recurrent.cuh). With
// one column for each unit, a thread has a whole sum to itself; states lie twice in shared memory, and one barrier will do.

#include "recurrent.cuh"

#define THREADS WHOLE_WARPS(UNITS)

// z: the input's product (N, T, U). Writes the states h (N, T, U).
KERNEL __launch_bounds__(THREADS) simple_rnn_forward(
    const REAL* __restrict__ z, const REAL* __restrict__ recurrent, const REAL* __restrict__ bias,
    const REAL* __restrict__ h0, const bool* __restrict__ mask, const REAL* __restrict__ scale, REAL* __restrict__ h,
    int N, int T) {
    SHARED_MEMORY(REAL, room);
    REAL* seen = room;                           // (2, ROWS, PADDED): what the product sees of the state, and next sees
    REAL* rest = seen + 2 * ROWS * PADDED;
    const int unit = threadIdx.x, first = blockIdx.x * ROWS;
    const bool any = unit < UNITS;

    Weights<THREADS> weights;
    weights.load(recurrent + (any ? unit : 0), UNITS, any, rest);
    const REAL offset = any && bias ? bias[unit] : REAL(0);
    clear(seen, 2 * ROWS * PADDED);
    __syncthreads();
    REAL coming[AHEAD][ROWS], state[ROWS], factor[ROWS];
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        const int n = first + r;
        const bool mine = any && n < N;
        state[r] = mine && h0 ? h0[(INDEX)n * UNITS + unit] : REAL(0);
        factor[r] = mine && scale ? scale[(INDEX)n * UNITS + unit] : REAL(1);
        if (any) seen[r * PADDED + unit] = state[r] * factor[r];
#pragma unroll
        for (int s = 0; s < AHEAD; s++) coming[s][r] = mine && s < T ? z[((INDEX)n * T + s) * UNITS + unit] : 0;
    }
    __syncthreads();

    for (int begin = 0; begin < T; begin += AHEAD) {
#pragma unroll
        for (int s = 0; s < AHEAD; s++) {
            const int t = begin + s;
            if (t >= T) break;
            REAL sums[ROWS];
            weights.products(seen + t % 2 * ROWS * PADDED, PADDED, sums);
            REAL* next = seen + (t + 1) % 2 * ROWS * PADDED;
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                if (!any || first + r >= N) continue;
                const INDEX step = (INDEX)(first + r) * T + t;
                const REAL value = activate<PHI>(coming[s][r] + offset + sums[r]);
                if (t + AHEAD < T) coming[s][r] = z[(step + AHEAD) * UNITS + unit];
                if (!mask || mask[step]) state[r] = value;
                next[r * PADDED + unit] = state[r] * factor[r];
                h[step * UNITS + unit] = state[r];
            }
            __syncthreads();
        }
    }
}

// transposed: R^T (U, U). Writes dz (N, T, U) and dh0 (N, U). At a step that counts, the new state is h itself.
KERNEL __launch_bounds__(THREADS) simple_rnn_backward(
    const REAL* __restrict__ transposed, const REAL* __restrict__ dy, const bool* __restrict__ mask,
    const REAL* __restrict__ scale, const REAL* __restrict__ h, REAL* __restrict__ dz, REAL* __restrict__ dh0,
    int N, int T) {
    SHARED_MEMORY(REAL, room);
    REAL* sent = room;                           // (2, ROWS, PADDED): dz of this step, and of the one before
    REAL* rest = sent + 2 * ROWS * PADDED;
    const int unit = threadIdx.x, first = blockIdx.x * ROWS;
    const bool any = unit < UNITS;

    Weights<THREADS> weights;
    weights.load(transposed + (any ? unit : 0), UNITS, any, rest);
    clear(sent, 2 * ROWS * PADDED);
    REAL of[AHEAD][ROWS], given[AHEAD][ROWS], dh[ROWS], factor[ROWS];  // of: h
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
        const int n = first + r;
        const bool mine = any && n < N;
        dh[r] = 0;
        factor[r] = mine && scale ? scale[(INDEX)n * UNITS + unit] : REAL(1);
#pragma unroll
        for (int s = 0; s < AHEAD; s++) {
            const INDEX place = ((INDEX)n * T + T - 1 - s) * UNITS + unit;
            of[s][r] = mine && s < T ? h[place] : REAL(0);
            given[s][r] = mine && s < T ? dy[place] : REAL(0);
        }
    }
    __syncthreads();

    for (int begin = T - 1; begin >= 0; begin -= AHEAD) {
#pragma unroll
        for (int s = 0; s < AHEAD; s++) {
            const int t = begin - s;
            if (t < 0) break;
            REAL* now = sent + t % 2 * ROWS * PADDED;
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                if (!any || first + r >= N) continue;
                const INDEX step = (INDEX)(first + r) * T + t;
                dh[r] += given[s][r];
                const REAL d = !mask || mask[step] ? dh[r] * slope<PHI>(of[s][r]) : REAL(0);
                if (t >= AHEAD) {
                    of[s][r] = h[(step - AHEAD) * UNITS + unit];
                    given[s][r] = dy[(step - AHEAD) * UNITS + unit];
                }
                now[r * PADDED + unit] = d;
                dz[step * UNITS + unit] = d;
            }
            __syncthreads();
            REAL sums[ROWS];
            weights.products(now, PADDED, sums);
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                if (!any || first + r >= N) continue;
                if (!mask || mask[(INDEX)(first + r) * T + t]) dh[r] = sums[r] * factor[r];
            }
        }
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++)
        if (any && first + r < N) dh0[(INDEX)(first + r) * UNITS + unit] = dh[r];
}
