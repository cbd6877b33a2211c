// What every source in this folder begins with. REAL is float or double.
//
// A source is plain CUDA C++ without atomics and without warp shuffles: one thread owns each number that is written, and
// threads of a block meet only at __syncthreads(). So results are the same bits at every run, and the same text runs on
// a processor, thread after thread, where there is no GPU (see tests/kernels/gpu).

#ifndef KERNEL
#define KERNEL extern "C" __global__ void
#endif

// The shared memory whose size the launch says: SHARED_MEMORY(REAL, sums);
#ifndef SHARED_MEMORY
#define SHARED_MEMORY(type, name)                                       \
    extern __shared__ __align__(16) unsigned char shared_memory_[];     \
    type* name = reinterpret_cast<type*>(shared_memory_)
#endif

// A place in an array: 32 bits, whose divisions are fast, unless an array of the launch is too large for that.
#ifdef WIDE
typedef long long INDEX;
#else
typedef int INDEX;
#endif

// A few sizes whose meaning the kernel says.
struct Shape {
    long long at[8];
};

// Several arrays at once, written or only read, and where each one's values end if all are counted through.
struct Arrays {
    REAL* at[32];
};

struct Inputs {
    const REAL* at[32];
};

struct Ends {
    long long at[32];
};

// The thread's number if all blocks are counted through, and how many threads there are.
__device__ __forceinline__ INDEX thread_number() {
    return (INDEX)blockIdx.x * (INDEX)blockDim.x + (INDEX)threadIdx.x;
}

__device__ __forceinline__ INDEX thread_count() {
    return (INDEX)gridDim.x * (INDEX)blockDim.x;
}

// For which NVRTC has no names without headers.
#define INFINITE ((REAL)__longlong_as_double(0x7ff0000000000000LL))
#define NOT_A_NUMBER ((REAL)__longlong_as_double(0x7ff8000000000000LL))

// The larger and the smaller of two numbers; NaN if one is NaN, unlike fmax and fmin.
__device__ __forceinline__ REAL larger(REAL a, REAL b) {
    return a > b || a != a ? a : b;
}

__device__ __forceinline__ REAL smaller(REAL a, REAL b) {
    return a < b || a != a ? a : b;
}

// --- windows --------------------------------------------------------------------------------------------------------

// Where the windows of a convolution or a pooling lie, along three axes (an image has D = KD = OD = 1, a signal H too):
// sizes of the image and of the window, strides s, gaps g between neighbouring positions (dilation), padding p before
// the image, counts of windows, channels. Window (od, oh, ow) sees at its position (i, j, k) the pixel
// (od * sd + i * gd - pd, oh * sh + j * gh - ph, ow * sw + k * gw - pw), which may lie outside the image.
struct Windows {
    int D, H, W, KD, KH, KW, sd, sh, sw, gd, gh, gw, pd, ph, pw, OD, OH, OW, C;
};

// The pixel that a window sees at its position 0, inside the image or not: where its values begin if each pixel has
// `pitch` of them, and its coordinates.
struct Pixel {
    INDEX at;
    int d, h, w;
};

__device__ __forceinline__ Pixel first_pixel(INDEX n, int od, int oh, int ow, const Windows& g, INDEX pitch) {
    Pixel p;
    p.d = od * g.sd - g.pd;
    p.h = oh * g.sh - g.ph;
    p.w = ow * g.sw - g.pw;
    p.at = (((n * g.D + p.d) * g.H + p.h) * g.W + p.w) * pitch;
    return p;
}

// The same for window m of all images, counted through: in the order of the output; or, if the output is to be pooled,
// the four windows of each 2 x 2 outputs one after the other.
__device__ __forceinline__ Pixel window_pixel(INDEX m, bool pooled, const Windows& g, INDEX pitch) {
    const int fold = pooled ? 2 : 1, q = pooled ? (int)(m % 4) : 0;
    if (pooled) m /= 4;
    const int ow = (int)(m % (g.OW / fold)) * fold + q % 2;
    m /= g.OW / fold;
    const int oh = (int)(m % (g.OH / fold)) * fold + q / 2;
    m /= g.OH / fold;
    return first_pixel(m / g.OD, (int)(m % g.OD), oh, ow, g, pitch);
}

// A position of the window: how far from the first pixel, along each axis and in memory.
struct Step {
    INDEX at;
    int d, h, w;
};

__device__ __forceinline__ Step step_to(int position, const Windows& g, INDEX pitch) {
    Step s;
    s.w = position % g.KW * g.gw;
    s.h = position / g.KW % g.KH * g.gh;
    s.d = position / g.KW / g.KH * g.gd;
    s.at = (((INDEX)s.d * g.H + s.h) * g.W + s.w) * pitch;
    return s;
}

__device__ __forceinline__ bool inside(const Pixel& p, const Step& s, const Windows& g) {
    return (unsigned)(p.d + s.d) < (unsigned)g.D && (unsigned)(p.h + s.h) < (unsigned)g.H &&
           (unsigned)(p.w + s.w) < (unsigned)g.W;
}
