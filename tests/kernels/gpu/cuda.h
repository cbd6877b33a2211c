// What CUDA has and C++ has not, so that a source of tinymed/kernels/gpu/sources runs on this processor: block after
// block, thread after thread. Threads that meet at __syncthreads() run as fibers, which take turns; the others never
// stop, and one fiber runs them all. Arrays lie between pages that nobody may touch; shared memory starts as NaN.

#include <csetjmp>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <cmath>
#include <math.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define EXPORTED extern "C" __attribute__((visibility("default")))
#define KERNEL extern "C" void
#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __shared__ static __attribute__((section("shared_memory")))
#define __syncthreads() host::meet(__LINE__)
#define SHARED_MEMORY(type, name) type* name = reinterpret_cast<type*>(host::shared_bytes)

struct dim3 {
    unsigned x, y, z;
};

static dim3 threadIdx, blockIdx, blockDim, gridDim;

template <class T> static inline T min(T a, T b) { return b < a ? b : a; }
template <class T> static inline T max(T a, T b) { return a < b ? b : a; }
static inline float rsqrt(float x) { return 1.0f / std::sqrt(x); }
static inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }

static inline double __longlong_as_double(long long bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

namespace host {

static unsigned char* shared_bytes;

// --- guarded memory -------------------------------------------------------------------------------------------------

// Pages that nobody may touch around each array: an index that is wrong by less than 16 MiB is caught for certain.
static const size_t AROUND = size_t(1) << 24;

struct Guarded {
    unsigned char* from;   // of the array
    size_t size;           // of the array
    unsigned char* area;   // everything, guards included
    size_t whole;
};

static Guarded guarded[256];
static int guarded_count = 0;

// Return room for an array, with its end (or its beginning) exactly at a page that nobody may touch.
static unsigned char* guard(size_t size, bool at_end) {
    const size_t page = size_t(sysconf(_SC_PAGESIZE)), room = (size + page - 1) / page * page;
    void* area = mmap(nullptr, room + 2 * AROUND, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (area == MAP_FAILED || guarded_count == 256) return nullptr;
    unsigned char* inside = static_cast<unsigned char*>(area) + AROUND;
    if (room && mprotect(inside, room, PROT_READ | PROT_WRITE)) return nullptr;
    unsigned char* from = inside + (at_end ? room - size : 0);
    guarded[guarded_count++] = Guarded{from, size, static_cast<unsigned char*>(area), room + 2 * AROUND};
    return from;
}

EXPORTED void* guarded_copy(const void* array, size_t size, int at_end, int read_only) {
    unsigned char* from = guard(size, at_end);
    if (!from || !size) return from;
    memcpy(from, array, size);
    const Guarded& last = guarded[guarded_count - 1];
    if (read_only) mprotect(last.area + AROUND, last.whole - 2 * AROUND, PROT_READ);
    return from;
}

EXPORTED void forget_copies() {
    while (guarded_count) {
        guarded_count--;
        munmap(guarded[guarded_count].area, guarded[guarded_count].whole);
    }
}

// --- fibers ---------------------------------------------------------------------------------------------------------

static const int MOST = 1024;
static const size_t STACK = size_t(1) << 16;

struct Fiber {
    ucontext_t start;
    jmp_buf here;
    bool started;
    dim3 index;
    int line;  // of the __syncthreads() at which it waits
};

static Fiber fibers[MOST];
static jmp_buf scheduler;
static sigjmp_buf out;
static Fiber* running;
static unsigned next_thread, finished, threads;
static bool backwards;
static void (*kernel)(void**);
static void** arguments;
static char message[256];

static void fail(const char* what) {
    snprintf(message, sizeof message, "%s", what);
    siglongjmp(out, 1);
}

static void run_threads() {
    for (;;) {
        while (next_thread < threads) {
            const unsigned t = backwards ? threads - 1 - next_thread : next_thread;
            next_thread++;
            threadIdx = dim3{t % blockDim.x, t / blockDim.x % blockDim.y, t / blockDim.x / blockDim.y};
            kernel(arguments);
            finished++;
        }
        running->line = 0;
        if (!_setjmp(running->here)) _longjmp(scheduler, 1);
    }
}

static void meet(int line) {
    running->index = threadIdx;
    running->line = line;
    if (!_setjmp(running->here)) _longjmp(scheduler, 1);
    threadIdx = running->index;
}

static void resume(Fiber* fiber) {
    running = fiber;
    if (_setjmp(scheduler)) return;
    if (fiber->started) _longjmp(fiber->here, 1);
    fiber->started = true;
    getcontext(&fiber->start);
    static unsigned char* stacks = nullptr;
    if (!stacks)
        stacks = static_cast<unsigned char*>(
            mmap(nullptr, MOST * STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
    fiber->start.uc_stack.ss_sp = stacks + (fiber - fibers) * STACK;
    fiber->start.uc_stack.ss_size = STACK;
    fiber->start.uc_link = nullptr;
    makecontext(&fiber->start, run_threads, 0);
    setcontext(&fiber->start);
}

extern "C" __attribute__((weak, visibility("hidden"))) unsigned char __start_shared_memory[], __stop_shared_memory[];

static void run_block(size_t shared_size) {
    if (__start_shared_memory) memset(__start_shared_memory, 0xff, __stop_shared_memory - __start_shared_memory);
    if (shared_size) memset(shared_bytes, 0xff, shared_size);
    next_thread = finished = 0;
    int used = 0;
    while (next_thread < threads) resume(&fibers[used++]);  // each takes threads until one of them waits
    if (!fibers[used - 1].line) used--;
    while (used) {
        if (finished) fail("some threads of a block wait at __syncthreads() and others have ended");
        for (int i = 0; i < used; i++)
            if (fibers[i].line != fibers[0].line) fail("threads of a block wait at different __syncthreads()");
        for (int i = 0; i < used; i++) resume(&fibers[i]);
        int waiting = 0;
        for (int i = 0; i < used; i++) waiting += fibers[i].line != 0;
        if (waiting && waiting != used) fail("some threads of a block wait at __syncthreads() and others have ended");
        if (!waiting) used = 0;
    }
}

// --- running a kernel -----------------------------------------------------------------------------------------------

static void describe(char* text, size_t room, const unsigned char* address) {
    for (int i = 0; i < guarded_count; i++) {
        const Guarded& g = guarded[i];
        if (address < g.area || address >= g.area + g.whole) continue;
        if (address < g.from) snprintf(text, room, "%ld bytes before buffer %d", long(g.from - address), i);
        else if (address < g.from + g.size) snprintf(text, room, "buffer %d, which is read only", i);
        else snprintf(text, room, "%ld bytes behind the end of buffer %d", long(address - g.from - g.size), i);
        return;
    }
    snprintf(text, room, "address %p, which is in no buffer", (const void*)address);
}

static void caught(int signal, siginfo_t* info, void*) {
    char where[128] = "";
    if (signal == SIGSEGV || signal == SIGBUS) describe(where, sizeof where, (const unsigned char*)info->si_addr);
    snprintf(message, sizeof message, "%s%s in thread (%u, %u, %u) of block (%u, %u, %u)",
             signal == SIGSEGV || signal == SIGBUS ? "it touched " :
             signal == SIGFPE ? "a whole number was divided by zero" :
             "an index left a fixed array, a whole number overflowed or a value without one was cast to it", where,
             threadIdx.x, threadIdx.y, threadIdx.z, blockIdx.x, blockIdx.y, blockIdx.z);
    siglongjmp(out, 1);
}

// Run a whole grid, in order or backwards; return null, or what went wrong.
EXPORTED const char* run_grid(void (*call)(void**), void** values, const unsigned* grid, const unsigned* block,
                              size_t shared_size, int in_reverse) {
    const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    struct sigaction before[5], action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = caught;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    for (int i = 0; i < 5; i++) sigaction(signals[i], &action, &before[i]);
    kernel = call;
    arguments = values;
    backwards = in_reverse;
    gridDim = dim3{grid[0], grid[1], grid[2]};
    blockDim = dim3{block[0], block[1], block[2]};
    threads = block[0] * block[1] * block[2];
    message[0] = 0;
    shared_bytes = shared_size ? guard(shared_size, !in_reverse) : nullptr;
    if (!sigsetjmp(out, 1)) {
        const unsigned long long all = 1ull * grid[0] * grid[1] * grid[2];
        for (unsigned long long i = 0; i < all; i++) {
            const unsigned long long b = in_reverse ? all - 1 - i : i;
            blockIdx = dim3{unsigned(b % grid[0]), unsigned(b / grid[0] % grid[1]), unsigned(b / grid[0] / grid[1])};
            run_block(shared_size);
        }
    }
    if (message[0]) memset(fibers, 0, sizeof fibers);  // those that wait begin anew
    for (int i = 0; i < 5; i++) sigaction(signals[i], &before[i], nullptr);
    return message[0] ? message : nullptr;
}

}  // namespace host
