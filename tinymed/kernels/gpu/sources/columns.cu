// im2col and its adjoint, col2im.

// columns[m, (position, c)]: what window m sees. A block takes 64 windows; a thread one column of some of them.
KERNEL im2col(const REAL* __restrict__ x, REAL* __restrict__ columns, Windows g, INDEX M) {
    __shared__ Pixel windows[64];
    const INDEX m0 = (INDEX)blockIdx.x * 64;
    const int own = threadIdx.y * blockDim.x + threadIdx.x, K = g.KD * g.KH * g.KW * g.C;
    for (int i = own; i < 64; i += blockDim.x * blockDim.y)
        windows[i] = window_pixel(m0 + i < M ? m0 + i : 0, false, g, g.C);
    __syncthreads();
    for (int k = threadIdx.x; k < K; k += blockDim.x) {
        const Step s = step_to(k / g.C, g, g.C);
        for (int i = threadIdx.y; i < 64 && m0 + i < M; i += blockDim.y) {
            const Pixel& p = windows[i];
            columns[(m0 + i) * K + k] = inside(p, s, g) ? x[p.at + s.at + k % g.C] : (REAL)0;
        }
    }
}

// dx: each value sums what reaches it from the windows that saw it. A thread owns one value.
KERNEL col2im(const REAL* __restrict__ dcolumns, REAL* __restrict__ dx, Windows g, INDEX size) {
    INDEX m = thread_number();
    if (m >= size) return;
    REAL total = 0;
    REAL* target = dx + m;
    const int c = (int)(m % g.C), K = g.KD * g.KH * g.KW * g.C;
    m /= g.C;
    const int w = (int)(m % g.W) + g.pw;
    m /= g.W;
    const int h = (int)(m % g.H) + g.ph;
    m /= g.H;
    const int d = (int)(m % g.D) + g.pd;
    m /= g.D;
    for (int i = 0; i < g.KD; i++) {
        const int od = d - i * g.gd;
        if (od < 0 || od % g.sd || od / g.sd >= g.OD) continue;
        for (int j = 0; j < g.KH; j++) {
            const int oh = h - j * g.gh;
            if (oh < 0 || oh % g.sh || oh / g.sh >= g.OH) continue;
            for (int k = 0; k < g.KW; k++) {
                const int ow = w - k * g.gw;
                if (ow < 0 || ow % g.sw || ow / g.sw >= g.OW) continue;
                const INDEX window = ((m * g.OD + od / g.sd) * g.OH + oh / g.sh) * g.OW + ow / g.sw;
                total += dcolumns[window * K + ((i * g.KH + j) * g.KW + k) * g.C + c];
            }
        }
    }
    *target = total;
}
