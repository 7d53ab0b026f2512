// Multiply-accumulate lane, odd weights (DoReFa) as sign and magnitude, a multiplier per product.
//
//   acc = sum of w * x + (2^P - 1) * (weights with a set sign bit), modulo 2^ACC;  P = A + B
//
// 2^B levels, +-1, +-3 ... +-(2^B - 1), none of them 0: {sign, m} is +-(2m + 1).
//
// The sign is folded: a negative product p enters as its complement ~p = 2^P - 1 - p, P bits and unsigned, which
// needs no adder and no sign bit in the tree. What is too much, 2^P - 1 for every weight with a set sign bit, is
// a constant of the weights that the next stage takes off its bias or thresholds.
//
// PARAMETERS
//   SIMD     products per clock
//   A        bits of an activation, unsigned
//   B        bits of a weight code, 2 or more
//   ACC      bits of the accumulator
//
// PORTS (latency one clock; a new set of SIMD products may enter every clock)
//   valid    x and w hold the products of this clock
//   first    they open a dot product
//   x        SIMD activations, activation i in bits [i*A +: A]
//   w        SIMD weight codes {sign, m}
//   acc      unsigned; N * (2^P - 1) is the greatest after N products
module lane_odd_magnitude #(
    parameter int SIMD = 8,
    parameter int A = 4,
    parameter int B = 4,
    parameter int ACC = 16
) (
    input  logic clk,
    input  logic valid,
    input  logic first,
    input  logic [SIMD*A-1:0] x,
    input  logic [SIMD*B-1:0] w,
    output logic [ACC-1:0] acc
);
    localparam int P = A + B;
    localparam int SUM = P + $clog2(SIMD);
    logic [SIMD*P-1:0] terms;
    logic [SUM-1:0] sum;
    generate
        for (genvar i = 0; i < SIMD; i++) begin : product
            logic [B-2:0] m;
            logic negative;
            assign {negative, m} = w[i*B+:B];
            assign terms[i*P+:P] = (P'({m, 1'b1}) * P'(x[i*A+:A])) ^ {P{negative}};
        end
    endgenerate
    adder_tree #(.N(SIMD), .W(P)) tree (.terms(terms), .sum(sum));
    accumulator #(.W(SUM), .ACC(ACC)) register
        (.clk(clk), .valid(valid), .first(first), .sum(sum), .acc(acc));
endmodule
