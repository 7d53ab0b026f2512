// Multiply-accumulate lane, additive power-of-two weights (APoT): at most two shifts and an add per product.
//
//   acc = sum of level(w) * x + (2^P - 1) * (weights with a set sign bit), modulo 2^ACC
//
//   B   P      level of {sign, m}
//   3   A + 2  +-{0, 1, 2, 4}[m]                                 (the levels of lane_pot)
//   4   A + 4  +-({0, 1, 4, 8}[m[1:0]] + {0, 2}[m[2]])
//   5   A + 6  +-({0, 1, 4, 16}[m[1:0]] + {0, 2, 8, 32}[m[3:2]])
//
// The sign is folded: a negative product p enters as its complement ~p = 2^P - 1 - p, P bits and unsigned, which
// needs no adder and no sign bit in the tree. What is too much, 2^P - 1 for every weight with a set sign bit, is
// a constant of the weights that the next stage takes off its bias or thresholds.
//
// PARAMETERS
//   SIMD     products per clock
//   A        bits of an activation, unsigned
//   B        bits of a weight code, 3 to 5 (with 2 the levels are ternary: lane_pot)
//   ACC      bits of the accumulator
//
// PORTS (latency one clock; a new set of SIMD products may enter every clock)
//   valid    x and w hold the products of this clock
//   first    they open a dot product
//   x        SIMD activations, activation i in bits [i*A +: A]
//   w        SIMD weight codes {sign, m}
//   acc      unsigned; N * (2^P - 1) is the greatest after N products
module lane_apot #(
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
    localparam int P = A + 2 * (B - 2);
    localparam int SUM = P + $clog2(SIMD);
    logic [SIMD*P-1:0] terms;
    logic [SUM-1:0] sum;
    generate
        for (genvar i = 0; i < SIMD; i++) begin : product
            logic [B-2:0] m;
            logic negative;
            logic [P-1:0] xi, low, high;
            assign {negative, m} = w[i*B+:B];
            assign xi = P'(x[i*A+:A]);
            if (B == 3) begin : one_term
                assign high = '0;
                assign low = m == 0 ? '0 : m == 1 ? xi : m == 2 ? xi << 1 : xi << 2;
            end else if (B == 4) begin : bits_4
                assign high = m[2] ? xi << 1 : '0;
                assign low = m[1:0] == 0 ? '0 : m[1:0] == 1 ? xi : m[1:0] == 2 ? xi << 2 : xi << 3;
            end else begin : bits_5
                assign high = m[3:2] == 0 ? '0 : m[3:2] == 1 ? xi << 1 : m[3:2] == 2 ? xi << 3 : xi << 5;
                assign low = m[1:0] == 0 ? '0 : m[1:0] == 1 ? xi : m[1:0] == 2 ? xi << 2 : xi << 4;
            end
            assign terms[i*P+:P] = (low + high) ^ {P{negative}};
        end
    endgenerate
    adder_tree #(.N(SIMD), .W(P)) tree (.terms(terms), .sum(sum));
    accumulator #(.W(SUM), .ACC(ACC)) register
        (.clk(clk), .valid(valid), .first(first), .sum(sum), .acc(acc));
endmodule
