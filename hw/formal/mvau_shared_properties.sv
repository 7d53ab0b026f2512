// Properties of mvau_shared: for every FOLD_IN words that enter, one leaves, LATENCY clocks after the last of them
// (those aside in which an output waits), in order, and it is bias + sum of w * x modulo 2^ACC, where w is a digit, and
// 1 more if the digit below it in the same block is negative; weights and biases begin anew after FOLD_OUT outputs; an
// offered word stays until it is taken. For all digits and biases (arbitrary/rom.sv).
//
// ENVIRONMENT  any source, any sink; a reset in the first clock, and whenever it likes afterwards; parameters with
//              which a field holds any product and any product less 1: X + W bits
// SPECIFICATION  sums in integers as the words enter, and a delay line of them, which stands still while an output
//                waits
module mvau_shared_properties #(
    parameter int PE = 2,
    parameter int SIMD = 2,
    parameter int X = 2,
    parameter bit X_SIGNED = 0,
    parameter int W = 2,
    parameter int ACC = 6,
    parameter int FOLD_IN = 2,
    parameter int FOLD_OUT = 2,
    parameter bit BIAS = 1,
    parameter int STEP = 2,
    parameter int GROUPS = 1,
    parameter int FIELD = X + W,
    parameter bit INSIDE = 1
) (
    input logic clk,
    input logic rst,
    input logic in_valid,
    input logic [SIMD*X-1:0] in_data,
    input logic out_ready,
    output logic reached
);
    localparam int TREE = $clog2(SIMD) / STEP;
    localparam int LATENCY = 3 + TREE;
    localparam int WORDS = FOLD_IN * FOLD_OUT;
    localparam int PRODUCT = X + W + 1;
    typedef logic [$clog2(WORDS+1)-1:0] index_t;
    typedef logic [PE*SIMD*W-1:0] weights_t;
    typedef logic [$clog2(FOLD_OUT+1)-1:0] turn_t;
    typedef logic signed [PRODUCT+$clog2(SIMD)-1:0] sum_t;
    typedef logic [PE*ACC-1:0] sums_t;
    logic in_ready, out_valid;
    logic [PE*ACC-1:0] out_data;
    mvau_shared #(
        .PE(PE), .SIMD(SIMD), .X(X), .X_SIGNED(X_SIGNED), .W(W), .ACC(ACC), .FOLD_IN(FOLD_IN), .FOLD_OUT(FOLD_OUT),
        .BIAS(BIAS), .STEP(STEP), .GROUPS(GROUPS), .FIELD(FIELD)
    ) dut (.*);

    `include "mvau_digits.svh"

    // Sum of the products of `number` inputs from `first` on, as far as there are so many.
    function automatic sum_t part(
        input logic [SIMD*X-1:0] word, input weights_t weights, input int p, input int first, input int number
    );
        part = '0;
        for (int s = first; s < first + number && s < SIMD; s++) part = part + product(word, weights, p, s);
    endfunction

    // An output, bias or sum before, with the products of a word.
    function automatic logic [PE*ACC-1:0] added(
        input logic [PE*ACC-1:0] sum, input logic [SIMD*X-1:0] word, input weights_t weights
    );
        for (int p = 0; p < PE; p++) added[p*ACC+:ACC] = sum[p*ACC+:ACC] + ACC'(part(word, weights, p, 0, SIMD));
    endfunction

    `include "mvau_order.svh"

    // Biases of all turns; 0 where there are none.
    sums_t [FOLD_OUT-1:0] starts;
    generate
        if (BIAS) begin : biased
            assign starts = dut.biased.bias_rom.words;
        end else begin : unbiased
            assign starts = '0;
        end
    endgenerate

    wire leaving = out_ready;
    `include "mvau_history.svh"

    always_comb begin
        assume (started || rst);
        if (started) begin
            assert (in_ready == move);
            assert (out_valid == finished);
            assert (!out_valid || out_data == sum[LATENCY-1]);
            assert (!offered || (out_valid && out_data == shown));
            assert (dut.control.address < WORDS);
        end
    end

    // The same at the stages in between, which closes the induction.
    generate
        if (INSIDE) begin : stages
            `include "mvau_stages.svh"
            always_comb if (started) begin
                assert (!known[LATENCY-1] || out_data == sum[LATENCY-1]);
                if (BIAS) begin
                    assert (dut.control.turn == to_open(following[LATENCY-2]));
                    if (valid[LATENCY-2] && opens(index[LATENCY-2]))
                        assert (dut.biases == starts[turn(index[LATENCY-2])]);
                end
            end
            for (genvar g = 0; g < GROUPS; g++) begin : group
                // Behind the products' register.
                localparam int PLACES = (own(g) - 1) * FIELD + W + (X_SIGNED ? X : X + 1);
                for (genvar s = 0; s < SIMD; s++) begin : product
                    always_comb
                        assert (!(started && valid[1])
                                || dut.group[g].product[s].m
                                   == PLACES'(packed_product(entered[1], weights[1], g, s)));
                end
                // And behind every register of the trees; what a sum lacks is the carry that goes with it.
                for (genvar k = 0; k < own(g); k++) begin : element
                    for (genvar r = 0; r <= TREE; r++) begin : register
                        localparam int COUNT = (SIMD + (1 << (r * STEP)) - 1) >> (r * STEP);
                        localparam int BITS = FIELD + r * STEP;
                        logic [COUNT*BITS-1:0] sums;
                        logic [COUNT-1:0] left;
                        if (k == 0) begin : lowest
                            assign sums = dut.group[g].element[k].lowest.tree.level[r*STEP].sums;
                            assign left = '0;
                        end else begin : above
                            assign sums = dut.group[g].element[k].above.tree.level[r*STEP].sums;
                            assign left = dut.group[g].element[k].above.tree.level[r*STEP].left;
                        end
                        always_comb
                            for (int n = 0; n < COUNT; n++)
                                assert (!(started && valid[1+r])
                                        || (BITS+1)'($signed(sums[n*BITS+:BITS])) + (BITS+1)'(left[n])
                                           == (BITS+1)'(part(entered[1+r], weights[1+r], first_of(g) + k,
                                                             n << (r * STEP), 1 << (r * STEP))));
                    end
                end
            end
        end
    endgenerate
endmodule
