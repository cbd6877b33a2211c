// A matrix, row by row: a block has L threads along x, which share a row, and threads along y for as many rows.

// Return the sum, or the largest, of what the L threads of a row hold; all threads of the block must come, and all get
// it. `room` has room for one number per thread.
__device__ __forceinline__ REAL sum_along_x(REAL* room, REAL own) {
    REAL* row = room + threadIdx.y * blockDim.x;
    __syncthreads();  // whatever was in `room` has been used
    row[threadIdx.x] = own;
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        __syncthreads();
        if ((int)threadIdx.x < half) row[threadIdx.x] += row[threadIdx.x + half];
    }
    __syncthreads();
    return row[0];
}

__device__ __forceinline__ REAL largest_along_x(REAL* room, REAL own) {
    REAL* row = room + threadIdx.y * blockDim.x;
    __syncthreads();
    row[threadIdx.x] = own;
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        __syncthreads();
        if ((int)threadIdx.x < half) row[threadIdx.x] = larger(row[threadIdx.x], row[threadIdx.x + half]);
    }
    __syncthreads();
    return row[0];
}

// The row of this thread, which may lie behind the last one, and where it begins in a matrix of K columns.
__device__ __forceinline__ INDEX own_row() {
    return (INDEX)blockIdx.x * blockDim.y + threadIdx.y;
}
