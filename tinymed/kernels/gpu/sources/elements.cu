// Activations, and what else is done to each value for itself: a thread owns one value. NaN stays NaN.

// --- behind a product ------------------------------------------------------------------------------------------------

// y (M, F), in place: add the bias, keep what is positive.
KERNEL finish(REAL* y, const REAL* __restrict__ bias, int F, int relu, INDEX size) {
    const INDEX i = thread_number();
    if (i >= size) return;
    REAL value = y[i];
    if (bias) value += bias[i % F];
    y[i] = relu ? larger(value, 0) : value;
}

// Inverted dropout: what is left out is 0 even if it was infinite or NaN.
KERNEL keep(const REAL* __restrict__ x, const bool* __restrict__ mask, REAL* __restrict__ y, REAL scale, INDEX size) {
    const INDEX i = thread_number();
    if (i < size) y[i] = mask[i] ? x[i] * scale : (REAL)0;
}

// --- ReLU with slope a below the threshold t and, if it is limited, the maximum m -------------------------------------

KERNEL relu(const REAL* __restrict__ x, REAL* __restrict__ y, REAL a, int limited, REAL m, REAL t, INDEX size) {
    const INDEX i = thread_number();
    if (i >= size) return;
    const REAL value = x[i];
    REAL kept = value <= t ? (REAL)0 : value;
    if (limited) kept = smaller(kept, m);
    if (a != 0) kept += a * smaller(value - t, 0);
    y[i] = kept;
}

KERNEL relu_backward(const REAL* __restrict__ dy, const REAL* __restrict__ x, REAL* __restrict__ dx, REAL a,
                     int limited, REAL m, REAL t, INDEX size) {
    const INDEX i = thread_number();
    if (i >= size) return;
    REAL slope = x[i] > t;
    slope += a * (1 - slope);
    if (limited && !(x[i] < m)) slope = 0;
    dx[i] = dy[i] * slope;
}

// --- curved activations ----------------------------------------------------------------------------------------------

// In the order of the list in activations.py.
enum { SIGMOID, TANH, EXPONENTIAL, SOFTPLUS, SOFTSIGN, SILU, MISH, ELU, SELU, GELU, TANH_GELU, HARD_SIGMOID, ERF };

const REAL SELU_SCALE = (REAL)1.0507009873554805, SELU_ALPHA = (REAL)1.6732632423543772;
const REAL ROOT_HALF = (REAL)0.70710678118654752, ROOT_2_PI = (REAL)0.79788456080286536;  // sqrt(1/2), sqrt(2/pi)

// e^-|x| is at most 1: nothing overflows, and small probabilities keep all their digits.
__device__ __forceinline__ REAL sigmoid(REAL x) {
    return exp(smaller(x, 0)) / (1 + exp(-fabs(x)));
}

__device__ __forceinline__ REAL softplus(REAL x) {
    return larger(x, 0) + log1p(exp(-fabs(x)));
}

// y, and what backward shall remember beside x where that is a third array (null elsewhere): s or t of the formulas.
KERNEL activate(const REAL* __restrict__ x, REAL* __restrict__ y, REAL* __restrict__ kept, int which, REAL alpha,
                INDEX size) {
    const INDEX i = thread_number();
    if (i >= size) return;
    const REAL v = x[i];
    REAL t = 0;
    switch (which) {
        case SIGMOID: y[i] = sigmoid(v); break;
        case TANH: y[i] = tanh(v); break;
        case EXPONENTIAL: y[i] = exp(v); break;
        case SOFTPLUS: y[i] = softplus(v); break;
        case SOFTSIGN: y[i] = v / (1 + fabs(v)); break;
        case SILU: t = sigmoid(v); y[i] = v * t; break;
        case MISH: t = tanh(softplus(v)); y[i] = v * t; break;
        case ELU: y[i] = larger(v, 0) + alpha * expm1(smaller(v, 0)); break;
        case SELU: y[i] = SELU_SCALE * (larger(v, 0) + SELU_ALPHA * expm1(smaller(v, 0))); break;
        case GELU: t = erf(v * ROOT_HALF); y[i] = (REAL)0.5 * v * (1 + t); break;
        case TANH_GELU: t = tanh(ROOT_2_PI * (v + (REAL)0.044715 * v * v * v)); y[i] = (REAL)0.5 * v * (1 + t); break;
        case HARD_SIGMOID: y[i] = smaller(larger(v + 3, 0), 6) / 6; break;
        case ERF: y[i] = erf(v); break;
    }
    if (kept) kept[i] = t;
}

// dx from what forward remembered: `v` is x, or y for sigmoid, tanh and the exponential; `kept` as above.
KERNEL activate_backward(const REAL* __restrict__ dy, const REAL* __restrict__ v, const REAL* __restrict__ kept,
                         REAL* __restrict__ dx, int which, REAL alpha, INDEX size) {
    const INDEX i = thread_number();
    if (i >= size) return;
    const REAL x = v[i], t = kept ? kept[i] : (REAL)0;
    REAL slope = 0;
    switch (which) {
        case SIGMOID: slope = x * (1 - x); break;
        case TANH: slope = 1 - x * x; break;
        case EXPONENTIAL: slope = x; break;
        case SOFTPLUS: slope = sigmoid(x); break;
        case SOFTSIGN: slope = 1 / (1 + fabs(x)); slope *= slope; break;
        case SILU: slope = t + x * t * (1 - t); break;
        case MISH: slope = t + x * sigmoid(x) * (1 - t * t); break;
        case ELU: slope = x > 0 ? (REAL)1 : alpha * exp(smaller(x, 0)); break;
        case SELU: slope = x >= 0 ? SELU_SCALE : SELU_SCALE * SELU_ALPHA * exp(smaller(x, 0)); break;
        case GELU: slope = (REAL)0.5 * (1 + t) + x * (exp((REAL)-0.5 * x * x) * ROOT_2_PI * (REAL)0.5); break;
        case TANH_GELU:
            slope = (REAL)0.5 * (1 + t + x * (1 - t * t) * ROOT_2_PI * (1 + (REAL)0.134145 * x * x));
            break;
        case HARD_SIGMOID: dx[i] = x > -3 && x < 3 ? dy[i] / 6 : (REAL)0; return;
        case ERF: slope = exp(-x * x) * (2 * ROOT_2_PI * ROOT_HALF); break;
    }
    dx[i] = dy[i] * slope;
}
