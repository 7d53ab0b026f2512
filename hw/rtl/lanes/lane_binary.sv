// Multiply-accumulate lane, binary weights: exclusive nor and count.
//
//   acc = sum of w * x + (2^A - 1) * (weights -1), modulo 2^ACC
//
// A -1 makes the complement of its activation, 2^A - 1 - x, which is the exclusive nor of every bit with the
// weight bit; with A = 1 the sum is the population count. The next stage takes the constant of the weights off
// its bias or thresholds.
//
// With A = 1 three products at a time are counted in two LUTs of six inputs before the adders begin.
//
// PARAMETERS
//   SIMD     products per clock
//   A        bits of an activation, unsigned
//   ACC      bits of the accumulator
//
// PORTS (latency one clock; a new set of SIMD products may enter every clock)
//   valid    x and w hold the products of this clock
//   first    they open a dot product
//   x        SIMD activations, activation i in bits [i*A +: A]
//   w        SIMD weights, bit i: 1 is +1, 0 is -1
//   acc      unsigned; N * (2^A - 1) is the greatest after N products
module lane_binary #(
    parameter int SIMD = 8,
    parameter int A = 4,
    parameter int ACC = 16
) (
    input  logic clk,
    input  logic valid,
    input  logic first,
    input  logic [SIMD*A-1:0] x,
    input  logic [SIMD-1:0] w,
    output logic [ACC-1:0] acc
);
    localparam int SUM = A + $clog2(SIMD);
    generate
        if (A == 1 && SIMD > 3) begin : count
            localparam int TRIPLES = (SIMD + 2) / 3;
            localparam int WIDE = 2 + $clog2(TRIPLES);
            logic [SIMD-1:0] equal;
            logic [TRIPLES*3-1:0] same;
            logic [TRIPLES*2-1:0] counts;
            logic [WIDE-1:0] sum;
            // In two steps: widened before the exclusive nor, the padding would count.
            assign equal = x ~^ w;
            assign same = (TRIPLES * 3)'(equal);
            for (genvar t = 0; t < TRIPLES; t++) begin : triple
                logic a, b, c;
                assign {c, b, a} = same[t*3+:3];
                assign counts[t*2+:2] = {(a & b) | (a & c) | (b & c), a ^ b ^ c};
            end
            adder_tree #(.N(TRIPLES), .W(2)) tree (.terms(counts), .sum(sum));
            accumulator #(.W(WIDE), .ACC(ACC)) register
                (.clk(clk), .valid(valid), .first(first), .sum(sum), .acc(acc));
        end else begin : conditional_complement
            logic [SIMD*A-1:0] terms;
            logic [SUM-1:0] sum;
            for (genvar i = 0; i < SIMD; i++) begin : product
                assign terms[i*A+:A] = x[i*A+:A] ~^ {A{w[i]}};
            end
            adder_tree #(.N(SIMD), .W(A)) tree (.terms(terms), .sum(sum));
            accumulator #(.W(SUM), .ACC(ACC)) register
                (.clk(clk), .valid(valid), .first(first), .sum(sum), .acc(acc));
        end
    endgenerate
endmodule
