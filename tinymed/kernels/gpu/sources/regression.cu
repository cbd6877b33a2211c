// Losses of regression, row by row: the mean over K values of the squared, or of the absolute, errors.

#include "rows.cuh"

KERNEL mean_error(const REAL* __restrict__ t, const REAL* __restrict__ y, REAL* __restrict__ errors,
                  REAL* __restrict__ loss, INDEX rows, int K, int squared) {
    __shared__ REAL room[256];
    const INDEX row = own_row();
    REAL own = 0;
    if (row < rows)
        for (int k = threadIdx.x; k < K; k += blockDim.x) {
            const REAL e = y[row * K + k] - t[row * K + k];
            errors[row * K + k] = e;
            own += squared ? e * e : fabs(e);
        }
    const REAL total = sum_along_x(room, own);
    if (row < rows && threadIdx.x == 0) loss[row] = total / K;
}

KERNEL mean_error_backward(const REAL* __restrict__ dy, const REAL* __restrict__ errors, REAL* __restrict__ dx, int K,
                           int squared, INDEX size) {
    const INDEX i = thread_number();
    if (i >= size) return;
    const REAL e = errors[i], sign = e > 0 ? (REAL)1 : e < 0 ? (REAL)-1 : e * 0;  // NaN stays NaN
    dx[i] = dy[i / K] / K * (squared ? 2 * e : sign);
}
