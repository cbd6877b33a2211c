// Softmax and the cross-entropies, row by row: K scores or probabilities of one sample (or pixel, or step).

#include "rows.cuh"

const REAL EPSILON = (REAL)1e-7, MOST = (REAL)(1.0 - 1e-7);  // probabilities are kept so far from 0 and 1

// e^-|x| is at most 1: nothing overflows, and small probabilities keep all their digits.
__device__ __forceinline__ REAL sigmoid(REAL x) {
    return exp(smaller(x, 0)) / (1 + exp(-fabs(x)));
}

__device__ __forceinline__ REAL clipped(REAL p) {
    return smaller(larger(p, EPSILON), MOST);
}

__device__ __forceinline__ bool within(REAL p) {
    return p >= EPSILON && p <= MOST;
}

__device__ __forceinline__ REAL row_maximum(REAL* room, const REAL* x, int K, bool exists) {
    REAL top = -INFINITE;
    if (exists)
        for (int k = threadIdx.x; k < K; k += blockDim.x) top = larger(top, x[k]);
    return largest_along_x(room, top);
}

// --- softmax --------------------------------------------------------------------------------------------------------

KERNEL softmax(const REAL* __restrict__ x, REAL* __restrict__ y, INDEX rows, int K) {
    __shared__ REAL room[256];
    const INDEX row = own_row();
    const bool exists = row < rows;
    const REAL* from = x + (exists ? row * K : 0);
    const REAL top = row_maximum(room, from, K, exists);
    REAL own = 0;
    if (exists)
        for (int k = threadIdx.x; k < K; k += blockDim.x) own += exp(from[k] - top);
    const REAL total = sum_along_x(room, own);
    if (exists)
        for (int k = threadIdx.x; k < K; k += blockDim.x) y[row * K + k] = exp(from[k] - top) / total;
}

KERNEL softmax_backward(const REAL* __restrict__ dy, const REAL* __restrict__ y, REAL* __restrict__ dx, INDEX rows,
                        int K) {
    __shared__ REAL room[256];
    const INDEX row = own_row();
    REAL own = 0;
    if (row < rows)
        for (int k = threadIdx.x; k < K; k += blockDim.x) own += dy[row * K + k] * y[row * K + k];
    const REAL total = sum_along_x(room, own);
    if (row < rows)
        for (int k = threadIdx.x; k < K; k += blockDim.x) dx[row * K + k] = y[row * K + k] * (dy[row * K + k] - total);
}

KERNEL log_softmax_backward(const REAL* __restrict__ dy, const REAL* __restrict__ y, REAL* __restrict__ dx, INDEX rows,
                            int K) {
    __shared__ REAL room[256];
    const INDEX row = own_row();
    REAL own = 0;
    if (row < rows)
        for (int k = threadIdx.x; k < K; k += blockDim.x) own += dy[row * K + k];
    const REAL total = sum_along_x(room, own);
    if (row < rows)
        for (int k = threadIdx.x; k < K; k += blockDim.x) dx[row * K + k] = dy[row * K + k] - exp(y[row * K + k]) * total;
}

// --- cross-entropy on scores ----------------------------------------------------------------------------------------

// log p of each class, and the loss if it is asked for: against targets t (rows, K), or against class numbers.
// A number that is no class makes NaN; the ignored one, if `ignores`, makes 0.
KERNEL log_softmax(const REAL* __restrict__ x, const REAL* __restrict__ t, const long long* __restrict__ labels,
                   REAL* __restrict__ log_p, REAL* __restrict__ loss, INDEX rows, int K, int ignores,
                   long long ignored) {
    __shared__ REAL room[256];
    const INDEX row = own_row();
    const bool exists = row < rows;
    const REAL* from = x + (exists ? row * K : 0);
    const REAL top = row_maximum(room, from, K, exists);
    REAL own = 0;
    if (exists)
        for (int k = threadIdx.x; k < K; k += blockDim.x) own += exp(from[k] - top);
    const REAL spread = log(sum_along_x(room, own));
    const long long label = exists && labels ? labels[row] : -1;
    own = 0;
    if (exists)
        for (int k = threadIdx.x; k < K; k += blockDim.x) {
            const REAL value = from[k] - top - spread;
            log_p[row * K + k] = value;
            if (t) own += t[row * K + k] * value;
            if (k == label) own = value;
        }
    if (!loss) return;
    REAL total = -sum_along_x(room, own);
    if (labels && (label < 0 || label >= K)) total = NOT_A_NUMBER;
    if (labels && ignores && label == ignored) total = 0;
    if (exists && threadIdx.x == 0) loss[row] = total;
}

// dz = dl (p sum(t) - t), or dl (p - [c = label]), dl being 0 where the label is ignored.
KERNEL softmax_crossentropy_backward(const REAL* __restrict__ dy, const REAL* __restrict__ log_p,
                                     const REAL* __restrict__ t, const long long* __restrict__ labels,
                                     REAL* __restrict__ dz, INDEX rows, int K, int ignores, long long ignored) {
    __shared__ REAL room[256];
    const INDEX row = own_row();
    REAL total = 1;
    if (t) {
        REAL own = 0;
        if (row < rows)
            for (int k = threadIdx.x; k < K; k += blockDim.x) own += t[row * K + k];
        total = sum_along_x(room, own);
    }
    if (row >= rows) return;
    const long long label = labels ? labels[row] : -1;
    const REAL upstream = labels && ignores && label == ignored ? (REAL)0 : dy[row];
    for (int k = threadIdx.x; k < K; k += blockDim.x) {
        const REAL wanted = t ? t[row * K + k] : (REAL)(k == label);
        dz[row * K + k] = upstream * (exp(log_p[row * K + k]) * total - wanted);
    }
}

// The mean over K questions of max(0, z) - t z + log(1 + e^-|z|).
KERNEL sigmoid_crossentropy(const REAL* __restrict__ t, const REAL* __restrict__ z, REAL* __restrict__ loss, INDEX rows,
                            int K) {
    __shared__ REAL room[256];
    const INDEX row = own_row();
    REAL own = 0;
    if (row < rows)
        for (int k = threadIdx.x; k < K; k += blockDim.x) {
            const REAL score = z[row * K + k];
            own += larger(score, 0) - t[row * K + k] * score + log1p(exp(-fabs(score)));
        }
    const REAL total = sum_along_x(room, own);
    if (row < rows && threadIdx.x == 0) loss[row] = total / K;
}

KERNEL sigmoid_crossentropy_backward(const REAL* __restrict__ dy, const REAL* __restrict__ t,
                                     const REAL* __restrict__ z, REAL* __restrict__ dz, int K, INDEX size) {
    const INDEX i = thread_number();
    if (i < size) dz[i] = dy[i / K] / K * (sigmoid(z[i]) - t[i]);
}

// --- cross-entropy on probabilities ---------------------------------------------------------------------------------

// Minus the mean over K questions of t log p + (1 - t) log(1 - p), p clipped.
KERNEL binary_crossentropy(const REAL* __restrict__ t, const REAL* __restrict__ p, REAL* __restrict__ loss, INDEX rows,
                           int K) {
    __shared__ REAL room[256];
    const INDEX row = own_row();
    REAL own = 0;
    if (row < rows)
        for (int k = threadIdx.x; k < K; k += blockDim.x) {
            const REAL q = clipped(p[row * K + k]), wanted = t[row * K + k];
            own += wanted * log(q) + (1 - wanted) * log(1 - q);
        }
    const REAL total = sum_along_x(room, own);
    if (row < rows && threadIdx.x == 0) loss[row] = -(total / K);
}

KERNEL binary_crossentropy_backward(const REAL* __restrict__ dy, const REAL* __restrict__ t,
                                    const REAL* __restrict__ p, REAL* __restrict__ dp, int K, INDEX size) {
    const INDEX i = thread_number();
    if (i >= size) return;
    const REAL q = clipped(p[i]);
    dp[i] = dy[i / K] / K * (within(p[i]) ? (q - t[i]) / (q * (1 - q)) : (REAL)0);
}

// Minus the sum of t log q, q being p over its sum (over 1 where that is 0), then clipped; q and the sum are kept.
KERNEL categorical_crossentropy(const REAL* __restrict__ t, const REAL* __restrict__ p, REAL* __restrict__ q,
                                REAL* __restrict__ sums, REAL* __restrict__ loss, INDEX rows, int K) {
    __shared__ REAL room[256];
    const INDEX row = own_row();
    REAL own = 0;
    if (row < rows)
        for (int k = threadIdx.x; k < K; k += blockDim.x) own += p[row * K + k];
    REAL total = sum_along_x(room, own);
    if (total == 0) total = 1;
    own = 0;
    if (row < rows)
        for (int k = threadIdx.x; k < K; k += blockDim.x) {
            const REAL value = p[row * K + k] / total;
            q[row * K + k] = value;
            own += t[row * K + k] * log(clipped(value));
        }
    const REAL found = sum_along_x(room, own);
    if (row < rows && threadIdx.x == 0) sums[row] = total, loss[row] = -found;
}

KERNEL categorical_crossentropy_backward(const REAL* __restrict__ dy, const REAL* __restrict__ t,
                                         const REAL* __restrict__ q, const REAL* __restrict__ sums,
                                         REAL* __restrict__ dp, INDEX rows, int K) {
    __shared__ REAL room[256];
    const INDEX row = own_row();
    REAL own = 0;
    if (row < rows)
        for (int k = threadIdx.x; k < K; k += blockDim.x) {
            const INDEX i = row * K + k;
            const REAL dq = dy[row] * (within(q[i]) ? -t[i] / clipped(q[i]) : (REAL)0);
            dp[i] = dq;
            own += dq * q[i];
        }
    const REAL total = sum_along_x(room, own);
    if (row < rows)
        for (int k = threadIdx.x; k < K; k += blockDim.x) dp[row * K + k] = (dp[row * K + k] - total) / sums[row];
}
