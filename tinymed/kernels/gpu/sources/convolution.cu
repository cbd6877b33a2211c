// Convolution as one matrix product Y = X W + b, where row m of X holds what window m sees. X, which is KH * KW times as
// large as the image, is never written; and what follows the convolution is done before Y is: bias, ReLU, the maximum of
// 2 x 2 outputs.

#include "tiles.cuh"

// Row m of X: column k = (position, c) is channel c of the pixel at that position of the window, 0 outside the image.
struct Seen {
    const REAL* x;
    const Windows& g;
    INDEX pitch;

    __device__ __forceinline__ Step column(int k) const {
        Step s = step_to(k / g.C, g, pitch);
        s.at += k % g.C;
        return s;
    }

    __device__ __forceinline__ REAL value(const Pixel& p, const Step& s) const {
        return inside(p, s, g) ? x[p.at + s.at] : (REAL)0;
    }
};

struct Filters {
    const REAL* kernel;  // (K, FT), from the first filter on that is wanted
    int wanted, FT;

    __device__ __forceinline__ REAL operator()(int k, int f) const {
        return f < wanted ? kernel[(INDEX)k * FT + f] : (REAL)0;
    }
};

// Groups: group z of the grid sees C channels of CT, from z * C on, and makes F filters of FT, from z * F on.
template <int TX, int R, int S>
__device__ __forceinline__ void convolve(Tile<TX, R, S>& tile, const REAL* __restrict__ x,
                                         const REAL* __restrict__ kernel, const REAL* __restrict__ bias,
                                         REAL* __restrict__ y, unsigned char* __restrict__ winner, const Windows& g,
                                         INDEX M, int CT, int F, int FT, int relu) {
    const int ROWS = Tile<TX, R, S>::ROWS, FILTERS = Tile<TX, R, S>::FILTERS;
    const int t = threadIdx.x, tx = t % TX, ty = t / TX;
    const INDEX m0 = (INDEX)blockIdx.x * ROWS;
    const int f0 = blockIdx.y * FILTERS, z = blockIdx.z;

    for (int r = t; r < ROWS; r += THREADS) {
        tile.rows[r] = window_pixel(m0 + r < M ? m0 + r : 0, winner, g, CT);
        if (m0 + r >= M) tile.rows[r].d = -(1 << 30);  // a window that does not exist sees nothing
    }
    __syncthreads();
    REAL sum[R][S];
    multiply(tile, Seen{x + z * g.C, g, CT}, Filters{kernel + z * F + f0, F - f0, FT}, g.KD * g.KH * g.KW * g.C, sum);

#pragma unroll
    for (int s = 0; s < S; s++) {
        const int f = f0 + tx + s * TX;
        if (f >= F) continue;
        const REAL offset = bias ? bias[z * F + f] : (REAL)0;
        REAL* target = y + z * F + f;
#pragma unroll
        for (int r = 0; r < R; r++) {
            sum[r][s] += offset;
            if (relu) sum[r][s] = larger(sum[r][s], 0);
            if (!winner && m0 + ty * R + r < M) target[(m0 + ty * R + r) * FT] = sum[r][s];
        }
        if (!winner) continue;
#pragma unroll
        for (int r = 0; r < R; r += 4) {  // the four outputs of a pooling's window
            REAL best = sum[r][s];
            int which = 0;
#pragma unroll
            for (int q = 1; q < 4; q++) {
                const REAL value = sum[r + q][s];
                if (value > best || (value != value && best == best)) {
                    best = value;
                    which = q;
                }
            }
            const INDEX m = m0 + ty * R + r;
            if (m >= M) continue;
            target[m / 4 * FT] = best;
            winner[m / 4 * FT + z * F + f] = which;
        }
    }
}

// Blocks of several shapes: 128 x 64 values, 256 x 32 and 256 x 16 for few filters, 32 x 32 where there is little to do.

KERNEL convolve_64(const REAL* __restrict__ x, const REAL* __restrict__ kernel, const REAL* __restrict__ bias,
                   REAL* __restrict__ y, unsigned char* __restrict__ winner, Windows g, INDEX M, int CT, int F, int FT,
                   int relu) {
    __shared__ Tile<16, 8, 4> tile;
    convolve(tile, x, kernel, bias, y, winner, g, M, CT, F, FT, relu);
}

KERNEL convolve_32(const REAL* __restrict__ x, const REAL* __restrict__ kernel, const REAL* __restrict__ bias,
                   REAL* __restrict__ y, unsigned char* __restrict__ winner, Windows g, INDEX M, int CT, int F, int FT,
                   int relu) {
    __shared__ Tile<8, 8, 4> tile;
    convolve(tile, x, kernel, bias, y, winner, g, M, CT, F, FT, relu);
}

KERNEL convolve_16(const REAL* __restrict__ x, const REAL* __restrict__ kernel, const REAL* __restrict__ bias,
                   REAL* __restrict__ y, unsigned char* __restrict__ winner, Windows g, INDEX M, int CT, int F, int FT,
                   int relu) {
    __shared__ Tile<8, 8, 2> tile;
    convolve(tile, x, kernel, bias, y, winner, g, M, CT, F, FT, relu);
}

KERNEL convolve_small(const REAL* __restrict__ x, const REAL* __restrict__ kernel, const REAL* __restrict__ bias,
                      REAL* __restrict__ y, unsigned char* __restrict__ winner, Windows g, INDEX M, int CT, int F,
                      int FT, int relu) {
    __shared__ Tile<32, 4, 1> tile;
    convolve(tile, x, kernel, bias, y, winner, g, M, CT, F, FT, relu);
}
