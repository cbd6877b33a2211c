// Batch and layer normalisation: mean and variance of a set of values, then each value for itself.

#include "reduce.cuh"
#include "rows.cuh"

// How many values, their mean, and the sum of the squares of their distances from it. Two sets are merged, and values
// added, without the difference of two large sums (which CT values near -1000 would not survive).
struct Moments {
    REAL count, mean, squares;

    __device__ __forceinline__ void add(REAL x) {
        count += 1;
        const REAL before = x - mean;
        mean += before / count;
        squares += before * (x - mean);
    }

    __device__ __forceinline__ void merge(const Moments& other) {
        if (other.count == 0) return;
        const REAL all = count + other.count, apart = other.mean - mean;
        mean += apart * (other.count / all);
        squares += other.squares + apart * apart * (count * (other.count / all));
        count = all;
    }
};

// Merge what the threads of one column (of equal x) hold into those with y = 0.
__device__ __forceinline__ void merge_along_y(Moments* room, Moments& own) {
    Moments* mine = room + threadIdx.y * blockDim.x + threadIdx.x;
    *mine = own;
    for (int half = blockDim.y / 2; half > 0; half /= 2) {
        __syncthreads();
        if ((int)threadIdx.y < half) mine->merge(mine[half * blockDim.x]);
    }
    own = *mine;
}

// --- each channel over the batch --------------------------------------------------------------------------------------

// All values are counted from the first of their channel: what is left of CT values near -1000 is small and exact.
// parts (3, P, C): count, mean and squares of rows p * step to (p + 1) * step of x (rows, C).
KERNEL channel_moments(const REAL* __restrict__ x, REAL* __restrict__ parts, INDEX rows, INDEX C, INDEX step) {
    __shared__ Moments room[256];
    const INDEX c = (INDEX)blockIdx.x * blockDim.x + threadIdx.x, first = (INDEX)blockIdx.y * step;
    const INDEX last = first + step < rows ? first + step : rows, all = (INDEX)gridDim.y * C;
    Moments own = {0, 0, 0};
    if (c < C)
        for (INDEX row = first + threadIdx.y; row < last; row += blockDim.y) own.add(x[row * C + c] - x[c]);
    merge_along_y(room, own);
    if (threadIdx.y || c >= C) return;
    REAL* part = parts + (INDEX)blockIdx.y * C + c;
    part[0] = own.count, part[all] = own.mean, part[2 * all] = own.squares;
}

// Merge the parts: the mean of each channel, how far it is from the first value, the variance, and 1 / sqrt(variance +
// epsilon).
KERNEL merge_moments(const REAL* __restrict__ x, const REAL* __restrict__ parts, REAL* __restrict__ mean,
                     REAL* __restrict__ offset, REAL* __restrict__ variance, REAL* __restrict__ scale, int P, INDEX C,
                     REAL epsilon) {
    __shared__ Moments room[256];
    const INDEX c = (INDEX)blockIdx.x * blockDim.x + threadIdx.x, all = P * C;
    Moments own = {0, 0, 0};
    if (c < C)
        for (int p = threadIdx.y; p < P; p += blockDim.y) {
            const REAL* part = parts + p * C + c;
            own.merge(Moments{part[0], part[all], part[2 * all]});
        }
    merge_along_y(room, own);
    if (threadIdx.y || c >= C) return;
    mean[c] = x[c] + own.mean;
    offset[c] = own.mean;
    variance[c] = own.squares / own.count;
    scale[c] = 1 / sqrt(variance[c] + epsilon);
}

// x^ = (x - mean) scale and y = gamma x^ + beta, either of which may be null. The mean is the first value of the channel
// plus an offset, or, where that is null, given.
KERNEL normalize_channels(const REAL* __restrict__ x, const REAL* __restrict__ mean, const REAL* __restrict__ offset,
                          const REAL* __restrict__ scale, const REAL* __restrict__ gamma,
                          const REAL* __restrict__ beta, REAL* __restrict__ normalized, REAL* __restrict__ y, INDEX C,
                          INDEX size) {
    const INDEX i = thread_number();
    if (i >= size) return;
    const INDEX c = i % C;
    REAL value = (offset ? x[i] - x[c] - offset[c] : x[i] - mean[c]) * scale[c];
    normalized[i] = value;
    if (gamma) value *= gamma[c];
    if (beta) value += beta[c];
    y[i] = value;
}

// parts (P, 2, C): the sums of dy x^ and of dy over rows p * step to (p + 1) * step: parts of dgamma and dbeta.
KERNEL weight_sums(const REAL* __restrict__ dy, const REAL* __restrict__ normalized, REAL* __restrict__ parts,
                   INDEX rows, INDEX C, INDEX step) {
    __shared__ REAL room[256];
    const INDEX c = (INDEX)blockIdx.x * blockDim.x + threadIdx.x, first = (INDEX)blockIdx.y * step;
    const INDEX last = first + step < rows ? first + step : rows;
    REAL of_gamma = 0, of_beta = 0;
    if (c < C)
        for (INDEX row = first + threadIdx.y; row < last; row += blockDim.y) {
            of_gamma += dy[row * C + c] * normalized[row * C + c];
            of_beta += dy[row * C + c];
        }
    of_gamma = sum_along_y(room, of_gamma);
    of_beta = sum_along_y(room, of_beta);
    if (threadIdx.y || c >= C) return;
    parts[((INDEX)blockIdx.y * 2) * C + c] = of_gamma;
    parts[((INDEX)blockIdx.y * 2 + 1) * C + c] = of_beta;
}

// dx = scale (dx^ - mean(dx^) - x^ mean(dx^ x^)) with dx^ = gamma dy; the means are those of dbeta and dgamma, times
// gamma. Where mean and variance are constants (`rows` is 0), nothing but the first term flows.
KERNEL normalize_channels_backward(const REAL* __restrict__ dy, const REAL* __restrict__ normalized,
                                   const REAL* __restrict__ scale, const REAL* __restrict__ gamma,
                                   const REAL* __restrict__ dgamma, const REAL* __restrict__ dbeta,
                                   REAL* __restrict__ dx, INDEX rows, INDEX C, INDEX size) {
    const INDEX i = thread_number();
    if (i >= size) return;
    const INDEX c = i % C;
    REAL value = dy[i];
    if (rows) value -= dbeta[c] / rows + normalized[i] * (dgamma[c] / rows);
    if (gamma) value *= gamma[c];
    dx[i] = value * scale[c];
}

// --- each row over its features ---------------------------------------------------------------------------------------

// As above for rows of D features: mean, then what the first mean missed, then the variance of what is left.
KERNEL normalize_rows(const REAL* __restrict__ x, const REAL* __restrict__ gamma, const REAL* __restrict__ beta,
                      REAL* __restrict__ normalized, REAL* __restrict__ scale, REAL* __restrict__ y, REAL epsilon,
                      INDEX rows, int D) {
    __shared__ REAL room[256];
    const INDEX row = own_row();
    const bool exists = row < rows;
    x += exists ? row * D : 0;
    REAL own = 0;
    if (exists)
        for (int k = threadIdx.x; k < D; k += blockDim.x) own += x[k];
    const REAL mean = sum_along_x(room, own) / D;
    own = 0;
    if (exists)
        for (int k = threadIdx.x; k < D; k += blockDim.x) own += x[k] - mean;
    const REAL rest = sum_along_x(room, own) / D;
    own = 0;
    if (exists)
        for (int k = threadIdx.x; k < D; k += blockDim.x) own += (x[k] - mean - rest) * (x[k] - mean - rest);
    const REAL factor = 1 / sqrt(sum_along_x(room, own) / D + epsilon);
    if (!exists) return;
    if (threadIdx.x == 0) scale[row] = factor;
    for (int k = threadIdx.x; k < D; k += blockDim.x) {
        REAL value = (x[k] - mean - rest) * factor;
        normalized[row * D + k] = value;
        if (gamma) value *= gamma[k];
        if (beta) value += beta[k];
        y[row * D + k] = value;
    }
}

KERNEL normalize_rows_backward(const REAL* __restrict__ dy, const REAL* __restrict__ normalized,
                               const REAL* __restrict__ scale, const REAL* __restrict__ gamma, REAL* __restrict__ dx,
                               INDEX rows, int D) {
    __shared__ REAL room[256];
    const INDEX row = own_row(), from = row < rows ? row * D : 0;
    REAL along_ones = 0, along_x = 0;
    if (row < rows)
        for (int k = threadIdx.x; k < D; k += blockDim.x) {
            const REAL value = gamma ? dy[from + k] * gamma[k] : dy[from + k];
            along_ones += value;
            along_x += value * normalized[from + k];
        }
    along_ones = sum_along_x(room, along_ones) / D;
    along_x = sum_along_x(room, along_x) / D;
    if (row < rows)
        for (int k = threadIdx.x; k < D; k += blockDim.x) {
            const REAL value = gamma ? dy[from + k] * gamma[k] : dy[from + k];
            dx[from + k] = scale[row] * (value - along_ones - normalized[from + k] * along_x);
        }
}
