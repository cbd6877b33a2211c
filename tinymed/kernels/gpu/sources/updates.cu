// One step of an optimizer, for all weights of a model in one launch: the weights' values are counted through, and a
// thread owns one of them, with its gradient and what the optimizer remembers of it. All in place.
//
// What changes from step to step, the size of the step and the decay, is read from `live_rate` and `live_decay` where
// they are not null: a launch that is recorded once and replayed finds its new numbers there.

// Which weight a thread's value belongs to, and its place in that weight.
struct Value {
    int weight;
    long long place;
    bool exists;

    __device__ __forceinline__ Value(const Ends& ends, int count) {
        const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
        weight = 0;
        for (int more = count - 1, half; more > 0; more -= half) {  // the first weight that ends behind i
            half = (more + 1) / 2;
            if (ends.at[weight + half - 1] <= i) weight += half;
        }
        exists = i < ends.at[count - 1];
        place = i - (weight ? ends.at[weight - 1] : 0);
    }
};

KERNEL sgd(Arrays w, Inputs g, Arrays m, Ends ends, int count, int has_m, REAL rate, REAL decay,
           const REAL* __restrict__ live_rate, const REAL* __restrict__ live_decay, REAL momentum, int nesterov) {
    const Value value(ends, count);
    if (!value.exists) return;
    if (live_rate) rate = *live_rate;
    if (live_decay) decay = *live_decay;
    const REAL slope = g.at[value.weight][value.place];
    REAL weight = w.at[value.weight][value.place];
    if (decay != 0) weight -= decay * weight;
    if (has_m) {
        REAL& memory = m.at[value.weight][value.place];
        memory = momentum * memory - rate * slope;
        weight += nesterov ? momentum * memory - rate * slope : memory;
    } else {
        weight -= rate * slope;
    }
    w.at[value.weight][value.place] = weight;
}

KERNEL adam(Arrays w, Inputs g, Arrays m, Arrays v, Arrays v_max, Ends ends, int count, int has_max, REAL rate,
            REAL decay, const REAL* __restrict__ live_rate, const REAL* __restrict__ live_decay, REAL c1, REAL c2,
            REAL epsilon) {
    const Value value(ends, count);
    if (!value.exists) return;
    if (live_rate) rate = *live_rate;
    if (live_decay) decay = *live_decay;
    const REAL slope = g.at[value.weight][value.place];
    REAL weight = w.at[value.weight][value.place];
    REAL& mean = m.at[value.weight][value.place];
    REAL& squares = v.at[value.weight][value.place];
    if (decay != 0) weight -= decay * weight;
    mean += c1 * (slope - mean);
    squares += c2 * (slope * slope - squares);
    REAL spread = squares;
    if (has_max) {
        REAL& top = v_max.at[value.weight][value.place];
        spread = top = larger(spread, top);
    }
    w.at[value.weight][value.place] = weight - rate * mean / (sqrt(spread) + epsilon);
}

KERNEL rmsprop(Arrays w, Inputs g, Arrays v, Arrays m, Arrays a, Ends ends, int count, int has_m, int centered,
               REAL rate, REAL decay, const REAL* __restrict__ live_rate, const REAL* __restrict__ live_decay, REAL rho,
               REAL rest, REAL momentum, REAL epsilon) {
    const Value value(ends, count);
    if (!value.exists) return;
    if (live_rate) rate = *live_rate;
    if (live_decay) decay = *live_decay;
    const REAL slope = g.at[value.weight][value.place];
    REAL weight = w.at[value.weight][value.place];
    REAL& squares = v.at[value.weight][value.place];
    if (decay != 0) weight -= decay * weight;
    squares = rho * squares + rest * (slope * slope);
    REAL spread = squares;
    if (centered) {
        REAL& mean = a.at[value.weight][value.place];
        mean = rho * mean + rest * slope;
        spread = larger(spread - mean * mean, 0);  // a variance, but for its rounding
    }
    REAL step = rate * slope / sqrt(spread + epsilon);
    if (has_m) {
        REAL& memory = m.at[value.weight][value.place];
        memory = momentum * memory + step;
        step = memory;
    }
    w.at[value.weight][value.place] = weight - step;
}

KERNEL adagrad(Arrays w, Inputs g, Arrays s, Ends ends, int count, REAL rate, REAL decay,
               const REAL* __restrict__ live_rate, const REAL* __restrict__ live_decay, REAL epsilon) {
    const Value value(ends, count);
    if (!value.exists) return;
    if (live_rate) rate = *live_rate;
    if (live_decay) decay = *live_decay;
    const REAL slope = g.at[value.weight][value.place];
    REAL weight = w.at[value.weight][value.place];
    REAL& sum = s.at[value.weight][value.place];
    if (decay != 0) weight -= decay * weight;
    sum += slope * slope;
    w.at[value.weight][value.place] = weight - rate * slope / sqrt(sum + epsilon);
}
