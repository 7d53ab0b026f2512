// Runs the test bench: toggles the clock until no word has passed any stream for a while.
//
// +reset=N   resets once more in clock N
// +idle=N    clocks without a word after which it ends
// +most=N    clocks after which it fails, when words still pass
// +look=1    in every clock, at rest between the edges, turns the signals over that the bench drives into each
//            stream, one stream (`flip`) after the other, and lets every stream look whether what comes out of the
//            module follows: where it does there is a path without a register
#include "Vbench.h"
#include "verilated.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

static long argument(VerilatedContext &context, const char *name, long otherwise) {
    const char *text = context.commandArgsPlusMatch(name);
    return *text ? std::atol(text + std::strlen(name) + 2) : otherwise;
}

int main(int argc, char **argv) {
    VerilatedContext context;
    context.commandArgs(argc, argv);
    const long reset = argument(context, "reset", -1), limit = argument(context, "idle", 400),
               most = argument(context, "most", 200000);
    const bool look = argument(context, "look", 0) != 0;
    Vbench bench{&context};
    auto show = [&](int flip) {
        bench.flip = flip;
        bench.eval();
        bench.look = 1;
        bench.eval();
        bench.look = 0;
        bench.eval();
    };
    bench.clk = 0;
    bench.look = 0;
    bench.flip = -1;
    bench.rst = 1;
    bench.eval();
    long cycle = 0;
    for (long idle = 0; idle < limit && cycle < most; cycle++) {
        bench.clk = 1;
        bench.eval();
        bench.rst = cycle < 3 || cycle == reset;
        bench.clk = 0;
        bench.eval();
        idle = bench.moved || cycle <= reset ? 0 : idle + 1;
        for (int flip = -1; look && !bench.rst && flip < 8; flip++) show(flip);
        bench.flip = -1;
        bench.eval();
        context.timeInc(1);
    }
    bench.final();
    if (cycle == most) std::fprintf(stderr, "words still pass after %ld clocks\n", most);
    return cycle == most;
}
