// Tables and images that are read where other numbers say: embedding, warping.

// dtable (K, D): row k sums the gradients of all M places where it was used, in their order. A block makes one row, or
// a part of it; it reads the ids 256 at a time, and a thread adds up one column.
KERNEL embedding_backward(const REAL* __restrict__ dy, const long long* __restrict__ ids, REAL* __restrict__ dtable,
                          INDEX M, INDEX D) {
    __shared__ long long some[256];
    const INDEX k = blockIdx.x, d = (INDEX)blockIdx.y * blockDim.x + threadIdx.x;
    REAL total = 0;
    for (INDEX first = 0; first < M; first += 256) {
        const int count = (int)(M - first < 256 ? M - first : 256);
        for (int i = threadIdx.x; i < count; i += blockDim.x) some[i] = ids[first + i];
        __syncthreads();
        if (d < D)
            for (int i = 0; i < count; i++)
                if (some[i] == k) total += dy[(first + i) * D + d];
        __syncthreads();
    }
    if (d < D) dtable[k * D + d] = total;
}

// --- warping ----------------------------------------------------------------------------------------------------------

// Where a pixel looks along one axis of `size` pixels: the pixel before that place, how far behind it the place lies,
// and whether the place is inside, so that it moves with the displacement.
struct Place {
    int first, size;
    REAL fraction;
    bool moves;

    __device__ __forceinline__ Place(REAL place, int size, int clamp) : size(size) {
        const REAL low = clamp ? 0 : -1, high = clamp ? size - 1 : size;
        moves = place >= low && place < high;
        place = smaller(larger(place, low), high);
        first = place == place ? (int)floor(place) : 0;
        if (clamp && first > size - 2) first = size > 1 ? size - 2 : 0;
        fraction = place - first;
    }

    // Of the pixel before (0) or behind (1): whether it belongs to the image, which it is, and its weight.
    __device__ __forceinline__ bool exists(int step) const {
        return first + step >= 0 && first + step < size;
    }

    __device__ __forceinline__ int pixel(int step) const {
        const int number = first + step;
        return number < 0 ? 0 : number < size ? number : size - 1;
    }

    __device__ __forceinline__ REAL weight(int step) const {
        const REAL own = step ? fraction : 1 - fraction;
        return exists(step) ? own : own * 0;  // NaN stays NaN
    }
};

// A thread makes all channels of one pixel.
KERNEL warp(const REAL* __restrict__ x, const REAL* __restrict__ u, REAL* __restrict__ y, int H, int W, int C,
            int clamp, INDEX pixels) {
    const INDEX i = thread_number();
    if (i >= pixels) return;
    const int w = (int)(i % W), h = (int)(i / W % H);
    const INDEX image = i / W / H * H;
    const Place rows(h + u[2 * i], H, clamp), columns(w + u[2 * i + 1], W, clamp);
    for (int c = 0; c < C; c++) {
        REAL total = 0;
        for (int corner = 0; corner < 4; corner++) {
            const int a = corner / 2, b = corner % 2;
            const REAL share = rows.weight(a) * columns.weight(b);
            total += x[((image + rows.pixel(a)) * W + columns.pixel(b)) * C + c] * share;
        }
        y[i * C + c] = total;
    }
}

// du (N, H, W, 2): the slope of the image where each pixel looks, against dy; 0 where the place is outside.
KERNEL warp_slope(const REAL* __restrict__ dy, const REAL* __restrict__ x, const REAL* __restrict__ u,
                  REAL* __restrict__ du, int H, int W, int C, int clamp, INDEX pixels) {
    const INDEX i = thread_number();
    if (i >= pixels) return;
    const int w = (int)(i % W), h = (int)(i / W % H);
    const INDEX image = i / W / H * H;
    const Place rows(h + u[2 * i], H, clamp), columns(w + u[2 * i + 1], W, clamp);
    REAL along = 0, across = 0;
    for (int corner = 0; corner < 4; corner++) {
        const int a = corner / 2, b = corner % 2;
        if (!rows.exists(a) || !columns.exists(b)) continue;
        const REAL* seen = x + ((image + rows.pixel(a)) * W + columns.pixel(b)) * C;
        REAL share = 0;
        for (int c = 0; c < C; c++) share += dy[i * C + c] * seen[c];
        along += a ? share * columns.weight(b) : -share * columns.weight(b);
        across += b ? share * rows.weight(a) : -share * rows.weight(a);
    }
    du[2 * i] = rows.moves ? along : (REAL)0;
    du[2 * i + 1] = columns.moves ? across : (REAL)0;
}

// targets (4, pixels): to which pixel of all images each pixel sends its gradient, for each of its four corners.
KERNEL warp_targets(const REAL* __restrict__ u, long long* __restrict__ targets, int H, int W, int clamp,
                    INDEX pixels) {
    const INDEX i = thread_number();
    if (i >= pixels) return;
    const int w = (int)(i % W), h = (int)(i / W % H);
    const INDEX image = i / W / H * H;
    const Place rows(h + u[2 * i], H, clamp), columns(w + u[2 * i + 1], W, clamp);
    for (int corner = 0; corner < 4; corner++)
        targets[corner * pixels + i] = (image + rows.pixel(corner / 2)) * W + columns.pixel(corner % 2);
}

// dx: each pixel sums what is sent to it, in the order of `order`, which sorts the targets; pixel k finds it from
// starts[k] to starts[k + 1]. A thread makes one channel of one pixel.
KERNEL warp_gather(const REAL* __restrict__ dy, const REAL* __restrict__ u, const long long* __restrict__ order,
                   const long long* __restrict__ starts, REAL* __restrict__ dx, int H, int W, int C, int clamp,
                   INDEX pixels, INDEX size) {
    const INDEX place = thread_number();
    if (place >= size) return;
    const INDEX k = place / C;
    const int c = (int)(place % C);
    REAL total = 0;
    for (long long j = starts[k]; j < starts[k + 1]; j++) {
        const INDEX i = (INDEX)(order[j] % pixels);
        const int corner = (int)(order[j] / pixels), w = (int)(i % W), h = (int)(i / W % H);
        const Place rows(h + u[2 * i], H, clamp), columns(w + u[2 * i + 1], W, clamp);
        total += dy[i * C + c] * (rows.weight(corner / 2) * columns.weight(corner % 2));
    }
    dx[place] = total;
}
