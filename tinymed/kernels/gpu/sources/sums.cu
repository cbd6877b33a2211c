// Sums over the rows of a matrix. A block has as many threads along x as it takes columns; those along y share the rows.

#include "reduce.cuh"

// parts[p, c]: the sum over rows p * step to (p + 1) * step of x (rows, columns).
KERNEL column_sums(const REAL* __restrict__ x, REAL* __restrict__ parts, INDEX rows, INDEX columns, INDEX step) {
    __shared__ REAL sums[256];
    const INDEX c = (INDEX)blockIdx.x * blockDim.x + threadIdx.x, first = (INDEX)blockIdx.y * step;
    const INDEX last = first + step < rows ? first + step : rows;
    REAL own = 0;
    if (c < columns)
        for (INDEX row = first + threadIdx.y; row < last; row += blockDim.y) own += x[row * columns + c];
    const REAL total = sum_along_y(sums, own);
    if (threadIdx.y == 0 && c < columns) parts[(INDEX)blockIdx.y * columns + c] = total;
}

// The sum of `count` parts of n values each; the first n1 values go to `a`, the others to `b`.
KERNEL sum_parts(const REAL* __restrict__ parts, REAL* __restrict__ a, REAL* __restrict__ b, INDEX n1, INDEX n,
                 int count) {
    __shared__ REAL sums[256];
    const INDEX i = (INDEX)blockIdx.x * blockDim.x + threadIdx.x;
    REAL own = 0;
    if (i < n)
        for (int p = threadIdx.y; p < count; p += blockDim.y) own += parts[p * n + i];
    const REAL total = sum_along_y(sums, own);
    if (threadIdx.y || i >= n) return;
    if (i < n1) a[i] = total;
    else b[i - n1] = total;
}
