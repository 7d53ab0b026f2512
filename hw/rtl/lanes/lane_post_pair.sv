// Multiply-accumulate lane, powers-of-sqrt(2) weights (POST), two accumulators: a shift per product.
//
//   acc_even = sum over odd m of  +-2^((m-1)/2) * x + (2^E - 1) * (odd m with a set sign bit), modulo 2^ACC_EVEN
//   acc_odd  = sum over even m of +-2^(m/2-1) * x   + (2^O - 1) * (even m > 0 with a set sign bit), mod 2^ACC_ODD
//   E = A + 2^(B-2) - 1;  O = E - 1;  weight code {sign, m}, m = 0 is the weight 0
//
// Level i = 2^(B-1) - 1 - m, 2^(-i/2), goes to acc_even for even i and to acc_odd for odd i. Once per dot product
// post_combine makes 128 * acc_even + 181 * acc_odd of them, the same integer that lane_post_table accumulates.
//
// The sign is folded: a negative product enters as its complement, unsigned. What is too much is a constant of
// the weights, for each accumulator, that the next stage takes off its bias or thresholds.
//
// PARAMETERS
//   SIMD     products per clock
//   A        bits of an activation, unsigned
//   B        bits of a weight code, 3 or more (with 2 the levels are ternary: lane_pot)
//   ACC_EVEN, ACC_ODD   bits of the accumulators
//
// PORTS (latency one clock; a new set of SIMD products may enter every clock)
//   valid    x and w hold the products of this clock
//   first    they open a dot product
//   x        SIMD activations, activation i in bits [i*A +: A]
//   w        SIMD weight codes {sign, m}
//   acc_even, acc_odd   unsigned; N * (2^E - 1) and N * (2^O - 1) are the greatest after N products, and they
//                       must fit: an accumulator that wraps cannot be multiplied by 181 any more
module lane_post_pair #(
    parameter int SIMD = 8,
    parameter int A = 4,
    parameter int B = 4,
    parameter int ACC_EVEN = 18,
    parameter int ACC_ODD = 18
) (
    input  logic clk,
    input  logic valid,
    input  logic first,
    input  logic [SIMD*A-1:0] x,
    input  logic [SIMD*B-1:0] w,
    output logic [ACC_EVEN-1:0] acc_even,
    output logic [ACC_ODD-1:0] acc_odd
);
    localparam int E = A + 2**(B-2) - 1;
    localparam int O = E - 1;
    localparam int SUM_EVEN = E + $clog2(SIMD);
    localparam int SUM_ODD = O + $clog2(SIMD);
    logic [SIMD*E-1:0] terms_even;
    logic [SIMD*O-1:0] terms_odd;
    logic [SUM_EVEN-1:0] sum_even;
    logic [SUM_ODD-1:0] sum_odd;
    generate
        for (genvar i = 0; i < SIMD; i++) begin : product
            logic [B-2:0] m;
            logic negative;
            logic [E-1:0] shifted;
            assign {negative, m} = w[i*B+:B];
            // Even m > 0 shifts by at least one, so its lowest bit is 0 and stays out of the odd tree.
            assign shifted = E'(x[i*A+:A]) << m[B-2:1];
            assign terms_even[i*E+:E] = (shifted ^ {E{negative}}) & {E{m[0]}};
            assign terms_odd[i*O+:O] = (shifted[E-1:1] ^ {O{negative}}) & {O{~m[0] & (m != 0)}};
        end
    endgenerate
    adder_tree #(.N(SIMD), .W(E)) tree_even (.terms(terms_even), .sum(sum_even));
    adder_tree #(.N(SIMD), .W(O)) tree_odd (.terms(terms_odd), .sum(sum_odd));
    accumulator #(.W(SUM_EVEN), .ACC(ACC_EVEN)) register_even
        (.clk(clk), .valid(valid), .first(first), .sum(sum_even), .acc(acc_even));
    accumulator #(.W(SUM_ODD), .ACC(ACC_ODD)) register_odd
        (.clk(clk), .valid(valid), .first(first), .sum(sum_odd), .acc(acc_odd));
endmodule
