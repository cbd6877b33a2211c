// What every source in this folder begins with. REAL is float or double; all indices into arrays are 64 bits wide.
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

// Where the windows of a convolution or a pooling lie, along three axes (an image has D = KD = OD = 1, a signal H too):
// sizes of the image and of the window, strides s, gaps g between neighbouring positions (dilation), padding p before
// the image, counts of windows, channels. Window (od, oh, ow) sees at its position (i, j, k) the pixel
// (od * sd + i * gd - pd, oh * sh + j * gh - ph, ow * sw + k * gw - pw), which may lie outside the image.
struct Windows {
    int D, H, W, KD, KH, KW, sd, sh, sw, gd, gh, gw, pd, ph, pw, OD, OH, OW, C;
};

// A few sizes whose meaning the kernel says.
struct Shape {
    long long at[8];
};

// Several arrays at once, and where each one's values end if all are counted through.
struct Arrays {
    REAL* at[32];
};

struct Ends {
    long long at[32];
};

// The thread's number if all blocks are counted through, and how many threads there are.
__device__ __forceinline__ long long thread_number() {
    return (long long)blockIdx.x * blockDim.x + threadIdx.x;
}

__device__ __forceinline__ long long thread_count() {
    return (long long)gridDim.x * blockDim.x;
}
