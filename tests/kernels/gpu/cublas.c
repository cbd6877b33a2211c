// The four functions of cuBLAS that products.py calls, with their documented meaning: matrices column after column, in
// main memory. It notes what was asked for, and fails with status 7 for what cuBLAS would refuse.

#include <stdlib.h>
#include <string.h>

static int handles, streams, workspaces, last_compute;
static void* stream_now;
static int ready;  // whether a workspace was given since the stream was set

int noted(int which) {
    int all[] = {handles, streams, workspaces, last_compute};
    return all[which];
}

int cublasCreate_v2(void** handle) {
    *handle = malloc(1);
    handles++;
    return 0;
}

int cublasSetStream_v2(void* handle, void* stream) {
    stream_now = stream;
    ready = 0;
    streams++;
    return handle ? 0 : 1;
}

int cublasSetWorkspace_v2(void* handle, void* workspace, size_t size) {
    ready = workspace && (size_t)workspace % 256 == 0 && size >= (1 << 22);
    workspaces++;
    return handle && ready ? 0 : 7;
}

static double at(const void* from, int kind, long long place) {
    return kind == 0 ? ((const float*)from)[place] : ((const double*)from)[place];
}

int cublasGemmStridedBatchedEx(void* handle, int turn_a, int turn_b, int m, int n, int k, const void* alpha,
                               const void* a, int kind_a, int lda, long long step_a, const void* b, int kind_b, int ldb,
                               long long step_b, const void* beta, void* c, int kind_c, int ldc, long long step_c,
                               int count, int compute, int algorithm) {
    last_compute = compute;
    int kinds_fit = kind_a == kind_b && kind_b == kind_c && (kind_a == 0 ? compute == 68 || compute == 77 : compute == 70);
    if (!handle || !ready || !kinds_fit || algorithm != -1) return 7;
    if (lda < (turn_a ? k : m) || ldb < (turn_b ? n : k) || ldc < m) return 7;
    if (at(alpha, kind_a, 0) != 1 || at(beta, kind_a, 0) != 0) return 7;
    for (int i = 0; i < count; i++)
        for (int row = 0; row < m; row++)
            for (int column = 0; column < n; column++) {
                double sum = 0;
                for (int p = 0; p < k; p++)
                    sum += at(a, kind_a, i * step_a + (turn_a ? p + (long long)row * lda : row + (long long)p * lda)) *
                           at(b, kind_b, i * step_b + (turn_b ? column + (long long)p * ldb : p + (long long)column * ldb));
                long long place = i * step_c + row + (long long)column * ldc;
                if (kind_c == 0) ((float*)c)[place] = (float)sum;
                else ((double*)c)[place] = sum;
            }
    return 0;
}
