// Multiply-accumulate lane, powers-of-sqrt(2) weights (POST), code to integer, one accumulator.
//
//   acc = sum of level(w) * x + (2^P - 1) * (weights with a set sign bit), modulo 2^ACC
//   level({sign, m}) = 0 for m = 0, +-128 * 2^((m-1)/2) for odd m, +-181 * 2^(m/2-1) for even m
//   P = A + 6 + 2^(B-2)
//
// sqrt(1/2) is 181/256. The product is made of shifts and adds: 181 = 4 * (9 * 5) + 1, three adders.
//
// The sign is folded: a negative product p enters as its complement ~p = 2^P - 1 - p, P bits and unsigned, which
// needs no adder and no sign bit in the tree. What is too much, 2^P - 1 for every weight with a set sign bit, is
// a constant of the weights that the next stage takes off its bias or thresholds.
//
// PARAMETERS
//   SIMD     products per clock
//   A        bits of an activation, unsigned
//   B        bits of a weight code, 3 or more (with 2 the levels are ternary: lane_pot)
//   ACC      bits of the accumulator
//
// PORTS (latency one clock; a new set of SIMD products may enter every clock)
//   valid    x and w hold the products of this clock
//   first    they open a dot product
//   x        SIMD activations, activation i in bits [i*A +: A]
//   w        SIMD weight codes {sign, m}
//   acc      unsigned; N * (2^P - 1) is the greatest after N products
module lane_post_table #(
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
    logic [SIMD*(A+8)-1:0] x_181;
    generate
        for (genvar i = 0; i < SIMD; i++) begin : times
            times_181 #(.W(A)) times (.x(x[i*A+:A]), .y(x_181[i*(A+8)+:A+8]));
        end
    endgenerate
    lane_post_shared #(.SIMD(SIMD), .A(A), .B(B), .ACC(ACC)) lane
        (.clk(clk), .valid(valid), .first(first), .x(x), .x_181(x_181), .w(w), .acc(acc));
endmodule
