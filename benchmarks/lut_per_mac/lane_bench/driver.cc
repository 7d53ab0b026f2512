// Clocks a design that Yosys wrote as C++ (CXXRTL): a record of words in for every clock, a record out.
//
//   in    control (bit 0 valid, bit 1 first), words of x, words of w
//   out   words of acc, after the falling edge that follows
#include <cstdint>
#include <cstdio>
#include <cstring>

#include "design.cc"

template <size_t Bits> const cxxrtl::value<Bits> &current(const cxxrtl::value<Bits> &value) { return value; }
template <size_t Bits> const cxxrtl::value<Bits> &current(const cxxrtl::wire<Bits> &wire) { return wire.curr; }

int main() {
    static cxxrtl_design::p_bench bench;
    uint32_t control;
    bench.p_clk.set<bool>(false);
    bench.step();
    while (std::fread(&control, sizeof control, 1, stdin) == 1) {
        if (std::fread(bench.p_x.data, sizeof bench.p_x.data, 1, stdin) != 1) return 1;
        if (std::fread(bench.p_w.data, sizeof bench.p_w.data, 1, stdin) != 1) return 1;
        bench.p_valid.set<bool>(control & 1);
        bench.p_first.set<bool>(control & 2);
        bench.step();
        bench.p_clk.set<bool>(true);
        bench.step();
        // What hangs on the registers follows in the step after theirs.
        bench.p_clk.set<bool>(false);
        bench.step();
        const auto &acc = current(bench.p_acc);
        if (std::fwrite(acc.data, sizeof acc.data, 1, stdout) != 1) return 1;
    }
    return 0;
}
