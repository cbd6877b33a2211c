// Random numbers without a state: number i of a call is SplitMix64's hash of a place in its sequence (see ops/random.py,
// whose bits these are). The place where the call begins comes as a number; or, in a step that is recorded and replayed,
// from the device's memory, where it is another at each replay (`live`, else null).

__device__ __forceinline__ unsigned long long random_word(unsigned long long start, INDEX i) {
    unsigned long long z = start + (unsigned long long)(i + 1) * 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return z ^ (z >> 31);
}

KERNEL random_words(unsigned long long* words, INDEX count, unsigned long long start, const unsigned long long* live) {
    if (live) start = *live;
    for (INDEX i = thread_number(); i < count; i += thread_count()) words[i] = random_word(start, i);
}

// True where the first 53 bits, as a number, lie below the threshold.
KERNEL random_choices(
    bool* choices, INDEX count, unsigned long long start, const unsigned long long* live,
    unsigned long long threshold) {
    if (live) start = *live;
    for (INDEX i = thread_number(); i < count; i += thread_count())
        choices[i] = random_word(start, i) >> 11 < threshold;
}

// From 0 to below 1: the first 24 bits for float, 53 for double.
KERNEL random_uniform(REAL* numbers, INDEX count, unsigned long long start, const unsigned long long* live) {
    const int digits = sizeof(REAL) == 4 ? 24 : 53;
    const REAL unit = REAL(1) / REAL(1ull << digits);
    if (live) start = *live;
    for (INDEX i = thread_number(); i < count; i += thread_count())
        numbers[i] = REAL(random_word(start, i) >> (64 - digits)) * unit;
}
