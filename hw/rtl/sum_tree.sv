// Sum of N terms as a balanced tree of two-operand adders with registers in it.
//
// PARAMETERS
//   N        terms
//   W        bits of a term
//   SIGNED   1: terms are two's complement; 0: terms are unsigned
//   STEP     levels of adders between registers; 0 for no register at all
//   OUT      bits of the sum: W + ceil(log2 N), so that it is exact
//
// PORTS    terms: term i in bits [i*W +: W]; sum: as signed as the terms; enable: move on by one clock
//
// LATENCY  floor(ceil(log2 N) / STEP) clocks, 0 for STEP = 0
//
// The levels grow by one bit each. The sums between levels are kept (`keep`), because synthesis would otherwise
// melt the whole tree into carry-save compressors of loose LUTs, while a two-operand adder on the carry chain
// takes one LUT per bit.
module sum_tree #(
    parameter int N = 8,
    parameter int W = 8,
    parameter bit SIGNED = 0,
    parameter int STEP = 2,
    parameter int OUT = W + $clog2(N)
) (
    input  logic clk,
    input  logic enable,
    input  logic [N*W-1:0] terms,
    output logic [OUT-1:0] sum
);
    localparam int LEVELS = $clog2(N);
    generate
        for (genvar l = 0; l <= LEVELS; l++) begin : level
            // How many sums there are behind l levels: N / 2^l, rounded up.
            localparam int COUNT = (N + (1 << l) - 1) >> l;
            localparam int BITS = W + l;
            (* keep *) logic [COUNT*BITS-1:0] sums;
            if (l == 0) begin : leaves
                assign sums = terms;
            end else begin : adders
                localparam int BELOW = (N + (1 << (l - 1)) - 1) >> (l - 1);
                logic [COUNT*BITS-1:0] added;
                for (genvar i = 0; i < COUNT; i++) begin : pair
                    logic [BITS-2:0] a, b;
                    assign a = level[l-1].sums[2*i*(BITS-1)+:BITS-1];
                    if (2 * i + 1 < BELOW) begin : both
                        assign b = level[l-1].sums[(2*i+1)*(BITS-1)+:BITS-1];
                    end else begin : single
                        assign b = '0;
                    end
                    if (SIGNED) begin : signed_sum
                        assign added[i*BITS+:BITS] = BITS'($signed(a)) + BITS'($signed(b));
                    end else begin : unsigned_sum
                        assign added[i*BITS+:BITS] = BITS'(a) + BITS'(b);
                    end
                end
                if (STEP != 0 && l % STEP == 0) begin : registered
                    always_ff @(posedge clk) if (enable) sums <= added;
                end else begin : wired
                    assign sums = added;
                end
            end
        end
    endgenerate
    assign sum = level[LEVELS].sums;
endmodule
