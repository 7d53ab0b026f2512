// The clock of shell and network: the board's oscillator as it is. Where another clock is asked for, a module of the same
// name takes its place, which `codesign synth --clock` writes and which holds a PLL of pll/.
//
// PORTS    oscillator: pin; clk; locked: clk is steady
module clock_source (
    input  logic oscillator,
    output logic clk,
    output logic locked
);
    assign clk = oscillator;
    assign locked = 1'b1;
endmodule
