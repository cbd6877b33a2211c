// The long short-term memory: all steps of a sequence in one launch, forward and backward (see recurrent.cuh).

#include "recurrent.cuh"

// Threads that share a warp take the same branch: the gates i, f, o first, then, in a warp of their own, the candidates.
#define GATES WHOLE_WARPS(3 * UNITS)
#define THREADS (GATES + WHOLE_WARPS(UNITS))
#define OWN ITEMS(THREADS)

// z: the input's product (N, T, 4U). Writes gates (N, T, 4U), states h, memories c and their activations a (N, T, U).
KERNEL __launch_bounds__(THREADS) lstm_forward(
    const REAL* __restrict__ z, const REAL* __restrict__ recurrent, const REAL* __restrict__ bias,
    const REAL* __restrict__ h0, const REAL* __restrict__ c0, const bool* __restrict__ mask,
    const REAL* __restrict__ scale, REAL* __restrict__ gates, REAL* __restrict__ h, REAL* __restrict__ c,
    REAL* __restrict__ a, int N, int T) {
    SHARED_MEMORY(REAL, room);
    REAL* seen = room;                           // (ROWS, PADDED): what the product sees of the state
    REAL* values = seen + ROWS * PADDED;         // (ROWS, 4U): the gates of this step
    REAL* rest = values + ROWS * 4 * UNITS;
    const int tid = threadIdx.x, first = blockIdx.x * ROWS;
    const bool candidate = tid >= GATES;
    const int gate = tid / UNITS;                // i, f or o
    const int column = candidate ? 2 * UNITS + tid - GATES : gate < 2 ? tid : tid + UNITS;
    const bool any = candidate ? tid - GATES < UNITS : gate < 3;

    Weights<THREADS> weights;
    weights.load(recurrent + (any ? column : 0), 4 * UNITS, any, rest);
    const REAL offset = any && bias ? bias[column] : REAL(0);
    clear(seen, ROWS * PADDED);
    REAL coming[AHEAD][ROWS];
#pragma unroll
    for (int s = 0; s < AHEAD; s++)
#pragma unroll
        for (int r = 0; r < ROWS; r++)
            coming[s][r] = any && s < T && first + r < N ? z[((INDEX)(first + r) * T + s) * 4 * UNITS + column] : 0;
    __syncthreads();

    REAL state[OWN], memory[OWN], factor[OWN];
#pragma unroll
    for (int i = 0; i < OWN; i++) {
        const int item = tid + i * THREADS, n = first + item / UNITS, j = item % UNITS;
        const bool mine = item < ROWS * UNITS && n < N;
        state[i] = mine && h0 ? h0[(INDEX)n * UNITS + j] : REAL(0);
        memory[i] = mine && c0 ? c0[(INDEX)n * UNITS + j] : REAL(0);
        factor[i] = mine && scale ? scale[(INDEX)n * UNITS + j] : REAL(1);
        if (item < ROWS * UNITS) seen[item / UNITS * PADDED + j] = state[i] * factor[i];
    }
    __syncthreads();

    for (int begin = 0; begin < T; begin += AHEAD) {
#pragma unroll
        for (int s = 0; s < AHEAD; s++) {
            const int t = begin + s;
            if (t >= T) break;
            REAL sums[ROWS];
            weights.products(seen, PADDED, sums);
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                if (!any || first + r >= N) continue;
                const INDEX step = (INDEX)(first + r) * T + t;
                const REAL sum = coming[s][r] + offset + sums[r];
                if (t + AHEAD < T) coming[s][r] = z[(step + AHEAD) * 4 * UNITS + column];
                const REAL value = candidate ? activate<PHI>(sum) : activate<SIGMA>(sum);
                values[r * 4 * UNITS + column] = value;
                gates[step * 4 * UNITS + column] = value;
            }
            __syncthreads();
#pragma unroll
            for (int i = 0; i < OWN; i++) {
                const int item = tid + i * THREADS, r = item / UNITS, j = item % UNITS, n = first + r;
                if (item >= ROWS * UNITS || n >= N) continue;
                const INDEX step = (INDEX)n * T + t;
                const REAL* gate_of = values + r * 4 * UNITS + j;
                const REAL new_memory = gate_of[UNITS] * memory[i] + gate_of[0] * gate_of[2 * UNITS];
                const REAL active = activate<PHI>(new_memory);
                if (!mask || mask[step]) {
                    memory[i] = new_memory;
                    state[i] = gate_of[3 * UNITS] * active;
                    seen[r * PADDED + j] = state[i] * factor[i];
                }
                h[step * UNITS + j] = state[i];
                c[step * UNITS + j] = memory[i];
                a[step * UNITS + j] = active;
            }
            __syncthreads();
        }
    }
}

// transposed: R^T (4U, U). dy (N, T, U) and dc_last (N, U) may be null. Writes dz (N, T, 4U), dh0 and dc0 (N, U).
KERNEL __launch_bounds__(THREADS) lstm_backward(
    const REAL* __restrict__ transposed, const REAL* __restrict__ dy, const REAL* __restrict__ dc_last,
    const REAL* __restrict__ c0, const bool* __restrict__ mask, const REAL* __restrict__ scale,
    const REAL* __restrict__ gates, const REAL* __restrict__ c, const REAL* __restrict__ a, REAL* __restrict__ dz,
    REAL* __restrict__ dh0, REAL* __restrict__ dc0, int N, int T) {
    SHARED_MEMORY(REAL, room);
    REAL* sent = room;                           // (ROWS, 4, PADDED): dz of this step
    REAL* parts = sent + ROWS * 4 * PADDED;      // (4, ROWS, U): the product, one part for each gate
    REAL* rest = parts + ROWS * 4 * UNITS;
    const int tid = threadIdx.x, first = blockIdx.x * ROWS, part = tid / UNITS, unit = tid % UNITS;
    const bool any = part < 4;

    Weights<THREADS> weights;
    weights.load(transposed + (any ? (INDEX)part * UNITS * UNITS + unit : 0), UNITS, any, rest);
    clear(sent, ROWS * 4 * PADDED);
    __syncthreads();

    REAL dh[OWN], dc[OWN], factor[OWN];
    REAL in[AHEAD][OWN], forget[AHEAD][OWN], guess[AHEAD][OWN], out[AHEAD][OWN];  // the gates
    REAL active[AHEAD][OWN], former[AHEAD][OWN], given[AHEAD][OWN];              // a, c of the step before, dy
#define FETCH(s, t)                                                                      \
    {                                                                                    \
        const INDEX step = (INDEX)n * T + (t);                                   \
        in[s][i] = gates[step * 4 * UNITS + j];                                          \
        forget[s][i] = gates[(step * 4 + 1) * UNITS + j];                                \
        guess[s][i] = gates[(step * 4 + 2) * UNITS + j];                                 \
        out[s][i] = gates[(step * 4 + 3) * UNITS + j];                                   \
        active[s][i] = a[step * UNITS + j];                                              \
        former[s][i] = (t) > 0 ? c[(step - 1) * UNITS + j] : c0 ? c0[(INDEX)n * UNITS + j] : REAL(0); \
        given[s][i] = dy ? dy[step * UNITS + j] : REAL(0);                               \
    }
#pragma unroll
    for (int i = 0; i < OWN; i++) {
        const int item = tid + i * THREADS, n = first + item / UNITS, j = item % UNITS;
        const bool mine = item < ROWS * UNITS && n < N;
        dh[i] = 0;
        dc[i] = mine && dc_last ? dc_last[(INDEX)n * UNITS + j] : REAL(0);
        factor[i] = mine && scale ? scale[(INDEX)n * UNITS + j] : REAL(1);
#pragma unroll
        for (int s = 0; s < AHEAD; s++)
            if (mine && s < T) FETCH(s, T - 1 - s)
    }

    for (int begin = T - 1; begin >= 0; begin -= AHEAD) {
#pragma unroll
        for (int s = 0; s < AHEAD; s++) {
            const int t = begin - s;
            if (t < 0) break;
#pragma unroll
            for (int i = 0; i < OWN; i++) {
                const int item = tid + i * THREADS, r = item / UNITS, j = item % UNITS, n = first + r;
                if (item >= ROWS * UNITS || n >= N) continue;
                const INDEX step = (INDEX)n * T + t;
                const bool counts = !mask || mask[step];
                const REAL f = forget[s][i], all = dh[i] + given[s][i];
                const REAL of_memory = dc[i] + all * (out[s][i] * slope<PHI>(active[s][i]));
                const REAL d_in = of_memory * (guess[s][i] * slope<SIGMA>(in[s][i]));
                const REAL d_forget = of_memory * (former[s][i] * slope<SIGMA>(f));
                const REAL d_guess = of_memory * (in[s][i] * slope<PHI>(guess[s][i]));
                const REAL d_out = all * (active[s][i] * slope<SIGMA>(out[s][i]));
                if (t >= AHEAD) FETCH(s, t - AHEAD)
                REAL* to = sent + r * 4 * PADDED + j;
                REAL* kept = dz + step * 4 * UNITS + j;
                to[0] = kept[0] = counts ? d_in : REAL(0);
                to[PADDED] = kept[UNITS] = counts ? d_forget : REAL(0);
                to[2 * PADDED] = kept[2 * UNITS] = counts ? d_guess : REAL(0);
                to[3 * PADDED] = kept[3 * UNITS] = counts ? d_out : REAL(0);
                if (counts) dc[i] = of_memory * f;
                dh[i] = all;  // it passes on as it is where the step does not count
            }
            __syncthreads();
            REAL sums[ROWS];
            weights.products(sent + (any ? part : 0) * PADDED, 4 * PADDED, sums);
#pragma unroll
            for (int r = 0; r < ROWS; r++)
                if (any) parts[(part * ROWS + r) * UNITS + unit] = sums[r];
            __syncthreads();
#pragma unroll
            for (int i = 0; i < OWN; i++) {
                const int item = tid + i * THREADS, n = first + item / UNITS;
                if (item >= ROWS * UNITS || n >= N || (mask && !mask[(INDEX)n * T + t])) continue;
                const REAL* p = parts + item;
                const int next = ROWS * UNITS;
                dh[i] = ((p[0] + p[next]) + (p[2 * next] + p[3 * next])) * factor[i];
            }
        }
    }
#undef FETCH
#pragma unroll
    for (int i = 0; i < OWN; i++) {
        const int item = tid + i * THREADS, n = first + item / UNITS, j = item % UNITS;
        if (item >= ROWS * UNITS || n >= N) continue;
        dh0[(INDEX)n * UNITS + j] = dh[i];
        dc0[(INDEX)n * UNITS + j] = dc[i];
    }
}
