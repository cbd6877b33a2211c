// Matrix products without cuBLAS: C = A B for matrices that lie row after row, or (TRANSPOSED_A, TRANSPOSED_B) column
// after column. A block computes a tile of C, a thread 4 x 4 values of it; sums run over K in order.

#ifndef TRANSPOSED_A  // compiled on its own
#define TRANSPOSED_A 0
#define TRANSPOSED_B 0
#endif

#define SIDE 64                   // of a tile of C
#define DEPTH 16                  // of the strips of A and B that are in shared memory
#define PITCH (SIDE + 4)          // so that threads that write a column of a strip write to different banks
#define THREADS 256

// A: (batch, M, K), or the same matrices for all if a_step is 0; B likewise (batch, K, N). Each of the `splits` parts of
// K has a result of its own, C: (splits, batch, M, N). Blocks: x counts the tiles of M and the batch, y those of N, z the
// parts of K.
KERNEL __launch_bounds__(THREADS) tiled_product(
    const REAL* __restrict__ a, const REAL* __restrict__ b, REAL* __restrict__ c, int M, int N, int K, int batch,
    INDEX a_step, INDEX b_step) {
    SHARED_MEMORY(REAL, room);
    REAL* left = room;                    // (DEPTH, PITCH): a strip of A, transposed
    REAL* right = room + DEPTH * PITCH;   // (DEPTH, PITCH): a strip of B
    const int tid = threadIdx.x, tiles = (M + SIDE - 1) / SIDE;
    const int place = blockIdx.x / tiles, top = blockIdx.x % tiles * SIDE, side = blockIdx.y * SIDE;
    const int strips = (K + DEPTH - 1) / DEPTH, each = (strips + gridDim.z - 1) / gridDim.z;
    const int begin = blockIdx.z * each * DEPTH, end = min(begin + each * DEPTH, K);
    a += place * a_step;
    b += place * b_step;

    REAL sums[4][4];
#pragma unroll
    for (int i = 0; i < 16; i++) sums[i / 4][i % 4] = 0;
    for (int from = begin; from < end; from += DEPTH) {
#pragma unroll
        for (int i = 0; i < SIDE * DEPTH / THREADS; i++) {
            const int e = tid + i * THREADS;  // neighbouring threads read neighbouring values
            const int ka = TRANSPOSED_A ? e / SIDE : e % DEPTH, m = TRANSPOSED_A ? e % SIDE : e / DEPTH;
            const int kb = TRANSPOSED_B ? e % DEPTH : e / SIDE, n = TRANSPOSED_B ? e / DEPTH : e % SIDE;
            const bool in_a = from + ka < end && top + m < M, in_b = from + kb < end && side + n < N;
            const INDEX row = top + m, column = side + n;
            left[ka * PITCH + m] = in_a ? a[TRANSPOSED_A ? (from + ka) * (INDEX)M + row : row * K + from + ka] : REAL(0);
            right[kb * PITCH + n] =
                in_b ? b[TRANSPOSED_B ? column * K + from + kb : (from + kb) * (INDEX)N + column] : REAL(0);
        }
        __syncthreads();
        const REAL* mine = left + tid / 16 * 4;
        const REAL* theirs = right + tid % 16 * 4;
#pragma unroll
        for (int k = 0; k < DEPTH; k++)
#pragma unroll
            for (int i = 0; i < 4; i++)
#pragma unroll
                for (int j = 0; j < 4; j++) sums[i][j] += mine[k * PITCH + i] * theirs[k * PITCH + j];
        __syncthreads();
    }
    c += ((INDEX)blockIdx.z * batch + place) * M * N;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const INDEX m = top + tid / 16 * 4 + i;
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const int n = side + tid % 16 * 4 + j;
            if (m < M && n < N) c[m * N + n] = sums[i][j];
        }
    }
}
