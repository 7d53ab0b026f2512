// Runs the test bench: toggles the clock until it is done.
#include "Vbench.h"
#include "verilated.h"
#if VM_TRACE
#include "verilated_vcd_c.h"
#endif

int main(int argc, char **argv) {
    VerilatedContext context;
    context.commandArgs(argc, argv);
    Vbench bench{&context};
#if VM_TRACE
    context.traceEverOn(true);
    VerilatedVcdC wave;
    bench.trace(&wave, 99);
    wave.open("wave.vcd");
#endif
    bench.clk = 0;
    bench.eval();
    while (!bench.done && !context.gotFinish()) {
        for (int level = 1; level >= 0; level--) {
            bench.clk = level;
            bench.eval();
            context.timeInc(1);
#if VM_TRACE
            wave.dump(context.time());
#endif
        }
    }
#if VM_TRACE
    wave.close();
#endif
    bench.final();
    return 0;
}
