// A matrix product Y = X W of which only W lies in memory: what X holds is looked up where it is needed.
//
// A block makes ROWS x FILTERS values of Y. It goes through the K columns of X in pieces of DEPTH:
//
//             DEPTH              FILTERS
//          +--------+         +-----------+           +-----------+
//   ROWS   |   X    |  DEPTH  |     W     |    ROWS   |     Y     |  TX x TY threads, each with R x S values:
//          +--------+         +-----------+           +-----------+  R rows one behind the other, every TX-th column
//
// While the threads multiply one piece out of shared memory, the next one is on its way from global memory into their
// registers.

const int THREADS = 256, DEPTH = 16;

template <int TX, int R, int S>
struct Tile {
    static const int ROWS = THREADS / TX * R, FILTERS = TX * S;
    REAL x[DEPTH][ROWS + 4];  // 4: a thread's rows begin at a multiple of 16 bytes, and neighbouring banks differ
    REAL w[DEPTH][FILTERS];
    Pixel rows[ROWS];  // which pixel each row of X is about
};

// Fill `sum`, the thread's values of Y. `left.column(k)` says what column k of X is about, once for all rows, and
// `left.value(pixel, column)` looks a value up; `right(k, f)` looks up W, for any f. Column K and those behind it are 0.
template <int TX, int R, int S, class Left, class Right>
__device__ __forceinline__ void multiply(Tile<TX, R, S>& tile, const Left& left, const Right& right, int K,
                                         REAL (&sum)[R][S]) {
    const int ROWS = Tile<TX, R, S>::ROWS, FILTERS = Tile<TX, R, S>::FILTERS;
    const int of_x = ROWS * DEPTH / THREADS, of_w = DEPTH * FILTERS / THREADS;  // values that one thread fetches
    const int t = threadIdx.x, tx = t % TX, ty = t / TX;
    REAL next_x[of_x], next_w[of_w];
#pragma unroll
    for (int r = 0; r < R; r++)
#pragma unroll
        for (int s = 0; s < S; s++) sum[r][s] = 0;

    for (int k0 = -DEPTH; k0 < K; k0 += DEPTH) {
        const bool more = k0 + DEPTH < K;
        if (more) {
            const int k = k0 + DEPTH + t % DEPTH;
            const auto column = left.column(k < K ? k : 0);
#pragma unroll
            for (int i = 0; i < of_x; i++)
                next_x[i] = k < K ? left.value(tile.rows[t / DEPTH + i * (THREADS / DEPTH)], column) : (REAL)0;
#pragma unroll
            for (int i = 0; i < of_w; i++) {
                const int place = t + i * THREADS, row = k0 + DEPTH + place / FILTERS;
                next_w[i] = row < K ? right(row, place % FILTERS) : (REAL)0;
            }
        }
        if (k0 >= 0) {
#pragma unroll 4
            for (int k = 0; k < DEPTH; k++) {
                REAL a[R], b[S];
#pragma unroll
                for (int r = 0; r < R; r++) a[r] = tile.x[k][ty * R + r];
#pragma unroll
                for (int s = 0; s < S; s++) b[s] = tile.w[k][tx + s * TX];
#pragma unroll
                for (int r = 0; r < R; r++)
#pragma unroll
                    for (int s = 0; s < S; s++) sum[r][s] += a[r] * b[s];
            }
        }
        __syncthreads();  // the piece in shared memory has been used
        if (more) {
#pragma unroll
            for (int i = 0; i < of_x; i++) tile.x[t % DEPTH][t / DEPTH + i * (THREADS / DEPTH)] = next_x[i];
#pragma unroll
            for (int i = 0; i < of_w; i++) {
                const int place = t + i * THREADS;
                tile.w[place / FILTERS][place % FILTERS] = next_w[i];
            }
        }
        __syncthreads();  // and the next one is there
    }
}
