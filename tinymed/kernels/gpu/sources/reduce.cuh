// Sums over the threads of a block, in a fixed order: the same bits at every run.

// Return the sum of what the threads of one column (of equal x) hold. All threads of the block must come; those with
// y = 0 get the sum. `sums` has room for one number per thread.
__device__ __forceinline__ REAL sum_along_y(REAL* sums, REAL own) {
    REAL* mine = sums + threadIdx.y * blockDim.x + threadIdx.x;
    __syncthreads();  // whatever was in `sums` has been used
    *mine = own;
    for (int half = blockDim.y / 2; half > 0; half /= 2) {
        __syncthreads();
        if ((int)threadIdx.y < half) *mine += mine[half * blockDim.x];
    }
    return *mine;
}
