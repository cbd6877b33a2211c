// The gated recurrent unit, reset after the product: all steps of a sequence in one launch, forward and backward (see
// recurrent.cuh).

#include "recurrent.cuh"

#define THREADS WHOLE_WARPS(3 * UNITS)
#define OWN ITEMS(THREADS)

// u: the input's product (N, T, 3U); bias: two rows, the input's and the state's. Writes gates (N, T, 3U), the sums
// `inner` that the reset gate multiplies, and the states h (N, T, U).
KERNEL __launch_bounds__(THREADS) gru_forward(
    const REAL* __restrict__ u, const REAL* __restrict__ recurrent, const REAL* __restrict__ bias,
    const REAL* __restrict__ h0, const bool* __restrict__ mask, const REAL* __restrict__ scale,
    REAL* __restrict__ gates, REAL* __restrict__ inner, REAL* __restrict__ h, int N, int T) {
    SHARED_MEMORY(REAL, room);
    REAL* seen = room;                           // (ROWS, PADDED): what the product sees of the state
    REAL* values = seen + ROWS * PADDED;         // (ROWS, 4U): both gates, the inner sum, the candidate's own sum
    REAL* rest = values + ROWS * 4 * UNITS;
    const int tid = threadIdx.x, first = blockIdx.x * ROWS, column = tid;
    const bool any = column < 3 * UNITS, gate = column < 2 * UNITS;

    Weights<THREADS> weights;
    weights.load(recurrent + (any ? column : 0), 3 * UNITS, any, rest);
    const REAL own = any && bias ? bias[column] : REAL(0), other = any && bias ? bias[3 * UNITS + column] : REAL(0);
    clear(seen, ROWS * PADDED);
    REAL coming[AHEAD][ROWS];
#pragma unroll
    for (int s = 0; s < AHEAD; s++)
#pragma unroll
        for (int r = 0; r < ROWS; r++)
            coming[s][r] = any && s < T && first + r < N ? u[((INDEX)(first + r) * T + s) * 3 * UNITS + column] : 0;
    __syncthreads();

    REAL state[OWN], factor[OWN];
#pragma unroll
    for (int i = 0; i < OWN; i++) {
        const int item = tid + i * THREADS, n = first + item / UNITS, j = item % UNITS;
        const bool mine = item < ROWS * UNITS && n < N;
        state[i] = mine && h0 ? h0[(INDEX)n * UNITS + j] : REAL(0);
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
                const REAL of_input = coming[s][r] + own, of_state = sums[r] + other;
                if (t + AHEAD < T) coming[s][r] = u[(step + AHEAD) * 3 * UNITS + column];
                REAL* to = values + r * 4 * UNITS + column;
                if (gate) {
                    to[0] = gates[step * 3 * UNITS + column] = activate<SIGMA>(of_input + of_state);
                } else {
                    to[0] = inner[step * UNITS + column - 2 * UNITS] = of_state;
                    to[UNITS] = of_input;
                }
            }
            __syncthreads();
#pragma unroll
            for (int i = 0; i < OWN; i++) {
                const int item = tid + i * THREADS, r = item / UNITS, j = item % UNITS, n = first + r;
                if (item >= ROWS * UNITS || n >= N) continue;
                const INDEX step = (INDEX)n * T + t;
                const REAL* v = values + r * 4 * UNITS + j;
                const REAL guess = activate<PHI>(v[3 * UNITS] + v[UNITS] * v[2 * UNITS]);
                gates[step * 3 * UNITS + 2 * UNITS + j] = guess;
                if (!mask || mask[step]) {
                    state[i] = v[0] * state[i] + (REAL(1) - v[0]) * guess;
                    seen[r * PADDED + j] = state[i] * factor[i];
                }
                h[step * UNITS + j] = state[i];
            }
            __syncthreads();
        }
    }
}

// transposed: R^T (3U, U). Writes the gradients du of the input's sums and ds of the state's (N, T, 3U), and dh0 (N, U).
KERNEL __launch_bounds__(THREADS) gru_backward(
    const REAL* __restrict__ transposed, const REAL* __restrict__ dy, const REAL* __restrict__ h0,
    const bool* __restrict__ mask, const REAL* __restrict__ scale, const REAL* __restrict__ gates,
    const REAL* __restrict__ inner, const REAL* __restrict__ h, REAL* __restrict__ du, REAL* __restrict__ ds,
    REAL* __restrict__ dh0, int N, int T) {
    SHARED_MEMORY(REAL, room);
    REAL* sent = room;                           // (ROWS, 3, PADDED): ds of this step
    REAL* parts = sent + ROWS * 3 * PADDED;      // (3, ROWS, U): the product, one part for each gate
    REAL* rest = parts + ROWS * 3 * UNITS;
    const int tid = threadIdx.x, first = blockIdx.x * ROWS, part = tid / UNITS, unit = tid % UNITS;
    const bool any = part < 3;

    Weights<THREADS> weights;
    weights.load(transposed + (any ? (INDEX)part * UNITS * UNITS + unit : 0), UNITS, any, rest);
    clear(sent, ROWS * 3 * PADDED);
    __syncthreads();

    REAL dh[OWN], factor[OWN];
    REAL update[AHEAD][OWN], reset[AHEAD][OWN], guess[AHEAD][OWN];             // the gates
    REAL inside[AHEAD][OWN], former[AHEAD][OWN], given[AHEAD][OWN];            // inner, h of the step before, dy
#define FETCH(s, t)                                                                      \
    {                                                                                    \
        const INDEX step = (INDEX)n * T + (t);                                   \
        update[s][i] = gates[step * 3 * UNITS + j];                                      \
        reset[s][i] = gates[(step * 3 + 1) * UNITS + j];                                 \
        guess[s][i] = gates[(step * 3 + 2) * UNITS + j];                                 \
        inside[s][i] = inner[step * UNITS + j];                                          \
        former[s][i] = (t) > 0 ? h[(step - 1) * UNITS + j] : h0 ? h0[(INDEX)n * UNITS + j] : REAL(0); \
        given[s][i] = dy[step * UNITS + j];                                              \
    }
#pragma unroll
    for (int i = 0; i < OWN; i++) {
        const int item = tid + i * THREADS, n = first + item / UNITS, j = item % UNITS;
        const bool mine = item < ROWS * UNITS && n < N;
        dh[i] = 0;
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
            REAL passed[OWN];  // what reaches the state before without the product
#pragma unroll
            for (int i = 0; i < OWN; i++) {
                const int item = tid + i * THREADS, r = item / UNITS, j = item % UNITS, n = first + r;
                if (item >= ROWS * UNITS || n >= N) continue;
                const INDEX step = (INDEX)n * T + t;
                const bool counts = !mask || mask[step];
                const REAL v = update[s][i], b = reset[s][i], g = guess[s][i], all = dh[i] + given[s][i];
                const REAL d_guess = counts ? all * ((REAL(1) - v) * slope<PHI>(g)) : REAL(0);
                const REAL d_update = counts ? all * ((former[s][i] - g) * slope<SIGMA>(v)) : REAL(0);
                const REAL d_reset = counts ? d_guess * (inside[s][i] * slope<SIGMA>(b)) : REAL(0);
                const REAL d_inside = counts ? d_guess * b : REAL(0);
                passed[i] = counts ? all * v : all;
                if (t >= AHEAD) FETCH(s, t - AHEAD)
                REAL* to = sent + r * 3 * PADDED + j;
                REAL* of_input = du + step * 3 * UNITS + j;
                REAL* of_state = ds + step * 3 * UNITS + j;
                to[0] = of_input[0] = of_state[0] = d_update;
                to[PADDED] = of_input[UNITS] = of_state[UNITS] = d_reset;
                to[2 * PADDED] = of_state[2 * UNITS] = d_inside;
                of_input[2 * UNITS] = d_guess;
            }
            __syncthreads();
            REAL sums[ROWS];
            weights.products(sent + (any ? part : 0) * PADDED, 3 * PADDED, sums);
#pragma unroll
            for (int r = 0; r < ROWS; r++)
                if (any) parts[(part * ROWS + r) * UNITS + unit] = sums[r];
            __syncthreads();
#pragma unroll
            for (int i = 0; i < OWN; i++) {
                const int item = tid + i * THREADS;
                if (item >= ROWS * UNITS || first + item / UNITS >= N) continue;
                const REAL* p = parts + item;
                const int next = ROWS * UNITS;
                dh[i] = passed[i] + ((p[0] + p[next]) + p[2 * next]) * factor[i];
            }
        }
    }
#undef FETCH
#pragma unroll
    for (int i = 0; i < OWN; i++) {
        const int item = tid + i * THREADS, n = first + item / UNITS, j = item % UNITS;
        if (item < ROWS * UNITS && n < N) dh0[(INDEX)n * UNITS + j] = dh[i];
    }
}
