// y = 181 * x in three adders: 181 = 4 * (9 * 5) + 1; combinational.
//
// PARAMETERS
//   W        bits of x
//
// PORTS
//   x, y     W and W + 8 bits, unsigned
module times_181 #(
    parameter int W = 4
) (
    input  logic [W-1:0] x,
    output logic [W+7:0] y
);
    localparam int Y = W + 8;
    (* keep *) logic [Y-1:0] times_5, times_45;
    assign times_5 = (Y'(x) << 2) + Y'(x);
    assign times_45 = (times_5 << 3) + times_5;
    assign y = (times_45 << 2) + Y'(x);
endmodule
