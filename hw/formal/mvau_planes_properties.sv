// Properties of mvau_planes: for every FOLD_IN * TURNS words that enter, one leaves, LATENCY clocks after the last of
// them (those aside in which an output waits), in order, and it is constant + sum over words and bits of 2^bit times
// what the function gives for the bits, modulo 2^ACC; the addresses begin anew after FOLD_OUT outputs; an offered
// word stays until it is taken. For every function of address and bits, and for all constants (arbitrary/rom.sv).
//
// ENVIRONMENT  any source, any sink; constants of the turns behind the first fit into PLANES bits; a reset in the
//              first clock, and whenever it likes afterwards
// SPECIFICATION  sums in integers as the words enter, each at the weight of its bits, and a delay line of them, which
//                stands still while an output waits
module mvau_planes_properties #(
    parameter int PE = 1,
    parameter int SIMD = 2,
    parameter int X = 2,
    parameter bit X_SIGNED = 0,
    parameter int PLANES = 1,
    parameter int ACC = 6,
    parameter int FOLD_IN = 2,
    parameter int FOLD_OUT = 2,
    parameter int SUM = 2,
    parameter int DELAY = 1,
    parameter bit INSIDE = 1
) (
    input logic clk,
    input logic rst,
    input logic in_valid,
    input logic [SIMD*X-1:0] in_data,
    input logic out_ready,
    output logic reached
);
    localparam int TURNS = X / PLANES;
    localparam int WORDS = FOLD_IN * FOLD_OUT;
    localparam int ADDRESS = WORDS > 1 ? $clog2(WORDS) : 1;
    localparam int GROUPS = FOLD_OUT * TURNS;
    localparam int TOTAL = GROUPS * FOLD_IN;
    localparam int LATENCY = DELAY + (PLANES > 1 ? 3 : 2);
    // The stage at which the sums have come, and the last one before the output.
    localparam int LAST = LATENCY - 2;
    typedef logic [$clog2(TOTAL+1)-1:0] index_t;
    typedef logic [$clog2(GROUPS+1)-1:0] group_t;
    typedef logic [PLANES*PE*SUM-1:0] sums_t;
    typedef logic [PE*ACC-1:0] outputs_t;
    logic in_ready, out_valid, enable;
    outputs_t out_data;
    logic [ADDRESS-1:0] address;
    logic [PLANES*SIMD-1:0] bits;
    sums_t sums;
    mvau_planes #(
        .PE(PE), .SIMD(SIMD), .X(X), .X_SIGNED(X_SIGNED), .PLANES(PLANES), .ACC(ACC), .FOLD_IN(FOLD_IN),
        .FOLD_OUT(FOLD_OUT), .SUM(SUM), .DELAY(DELAY)
    ) dut (.*);

    // A function of address and bits, whatever it is, DELAY clocks of `enable` later.
    logic [(1<<(ADDRESS+SIMD))-1:0][PE*SUM-1:0] contents;
    function automatic sums_t looked_up(input logic [ADDRESS-1:0] at, input logic [PLANES*SIMD-1:0] given);
        for (int k = 0; k < PLANES; k++) looked_up[k*PE*SUM+:PE*SUM] = contents[{at, given[k*SIMD+:SIMD]}];
    endfunction
    sums_t [DELAY-1:0] pipeline;
    assign sums = pipeline[DELAY-1];
    always_ff @(posedge clk) begin
        contents <= contents;
        if (enable) pipeline <= (DELAY * $bits(sums_t))'({pipeline, looked_up(address, bits)});
    end

    // Word `index` is of group `group(index)`, which is turn `turn_of` of an output: by comparisons, since a division
    // makes the proof slow.
    function automatic group_t group(input index_t index);
        group = '0;
        for (int g = 1; g < GROUPS; g++) if (index >= g * FOLD_IN) group = group_t'(g);
    endfunction

    function automatic int turn_of(input group_t number);
        turn_of = 0;
        for (int g = 0; g < GROUPS; g++) if (number == g) turn_of = g % TURNS;
    endfunction

    function automatic bit begins(input index_t index);
        begins = 0;
        for (int g = 0; g < GROUPS; g++) begins = begins || index == g * FOLD_IN;
    endfunction

    function automatic bit opens(input index_t index);
        return begins(index) && turn_of(group(index)) == 0;
    endfunction

    function automatic bit closes(input index_t index);
        closes = 0;
        for (int o = 1; o <= FOLD_OUT; o++) closes = closes || index == o * TURNS * FOLD_IN - 1;
    endfunction

    function automatic logic [ADDRESS-1:0] address_of(input index_t index);
        address_of = '0;
        for (int g = 0; g < GROUPS; g++)
            for (int f = 0; f < FOLD_IN; f++)
                if (index == g * FOLD_IN + f) address_of = ADDRESS'(g / TURNS * FOLD_IN + f);
    endfunction

    // The group that begins next, counted round, after so many words.
    function automatic group_t to_begin(input index_t words);
        return words == 0 || group(words - 1'b1) == GROUPS - 1 ? '0 : group(words - 1'b1) + 1'b1;
    endfunction

    // The bits of a turn, highest bits first; a signed input is offset, which inverts its highest bit.
    function automatic logic [PLANES*SIMD-1:0] taken(input logic [SIMD*X-1:0] word, input int turn);
        logic [X-1:0] x;
        for (int s = 0; s < SIMD; s++) begin
            x = word[s*X+:X] + (X_SIGNED ? X'(1 << (X - 1)) : '0);
            for (int k = 0; k < PLANES; k++)
                for (int t = 0; t < TURNS; t++) if (turn == t) taken[k*SIMD+s] = x[(TURNS-1-t)*PLANES+k];
        end
    endfunction

    // What a word adds to an output: its sums, and the constant with the first of a turn, at the weight of the bits.
    function automatic outputs_t weighed(input sums_t given, input outputs_t constant, input bit first, input int turn);
        logic [ACC-1:0] part;
        for (int p = 0; p < PE; p++) begin
            part = first ? constant[p*ACC+:ACC] : '0;
            for (int k = 0; k < PLANES; k++) part = part + (ACC'(given[(k*PE+p)*SUM+:SUM]) << k);
            for (int t = 0; t < TURNS; t++) if (turn == t) weighed[p*ACC+:ACC] = part << ((TURNS - 1 - t) * PLANES);
        end
    endfunction

    function automatic outputs_t added(input outputs_t a, input outputs_t b);
        for (int p = 0; p < PE; p++) added[p*ACC+:ACC] = a[p*ACC+:ACC] + b[p*ACC+:ACC];
    endfunction

    // Stage 0 is behind the door, stage LATENCY - 1 at the output. `sum` is that of the words so far: where a stage
    // has no word, the one of the word before.
    logic started = 0;
    index_t next;
    logic [LATENCY-1:0] valid;
    logic [LATENCY-1:0][SIMD*X-1:0] entered;
    index_t [LATENCY-1:0] index;
    outputs_t [LATENCY-1:0] sum;
    wire finished = valid[LATENCY-1] && closes(index[LATENCY-1]);
    wire move = !finished || out_ready;
    function automatic outputs_t advanced(input outputs_t so_far, input logic [SIMD*X-1:0] word, input index_t number);
        int turn;
        turn = turn_of(group(number));
        return added(opens(number) ? '0 : so_far,
                     weighed(looked_up(address_of(number), taken(word, turn)),
                             dut.constant_rom.words[group(number)], begins(number), turn));
    endfunction
    logic offered;
    outputs_t shown;
    logic [$clog2(FOLD_OUT+1)-1:0] left;
    always_ff @(posedge clk) begin
        started <= 1'b1;
        if (rst) begin
            next <= '0;
            valid <= '0;
        end else if (move) begin
            valid <= {valid[LATENCY-2:0], in_valid};
            if (in_valid) next <= next == TOTAL - 1 ? '0 : next + 1'b1;
        end
        if (move) begin
            entered <= {entered[LATENCY-2:0], in_data};
            index <= {index[LATENCY-2:0], next};
            sum <= {sum[LATENCY-2:0], in_valid ? advanced(sum[0], in_data, next) : sum[0]};
        end
        offered <= !rst && out_valid && !out_ready;
        shown <= out_data;
        // Outputs that have left: one more than a whole turn shows that the addresses begin anew.
        left <= rst || !started ? '0 : left + ($bits(left))'(out_valid && out_ready && left != FOLD_OUT);
    end
    assign reached = started && left == FOLD_OUT && out_valid && offered;

    always_comb begin
        assume (started || rst);
        for (int g = 0; g < GROUPS; g++)
            for (int p = 0; p < PE; p++)
                assume (g % TURNS == 0 || dut.constant_rom.words[g][p*ACC+:ACC] < (1 << PLANES));
        if (started) begin
            assert (in_ready == move);
            assert (enable == move);
            assert (out_valid == finished);
            assert (!out_valid || out_data == sum[LATENCY-1]);
            assert (!offered || (out_valid && out_data == shown));
            assert (!valid[0] || address == address_of(index[0]));
        end
    end

    // The same at the stages in between, which closes the induction.
    generate
        if (INSIDE) begin : stages
            // known[s]: a word has been there.
            logic [LATENCY-1:0] known;
            always_ff @(posedge clk) begin
                if (rst) known <= '0;
                else if (move) known <= {known[LATENCY-2:0], known[0] || in_valid};
            end
            // Numbers of the words: each follows the one before, whatever gaps there are.
            index_t [LATENCY:0] following;
            assign following[0] = next;
            // Group of the last word that has reached the output.
            group_t latest;
            assign latest = following[LATENCY-1] == 0 ? group_t'(GROUPS - 1) : group(following[LATENCY-1] - 1);
            sums_t [LATENCY-1:0] given;
            always_comb begin
                for (int s = 0; s < LATENCY; s++) begin
                    following[s+1] = valid[s] ? index[s] : following[s];
                    given[s] = looked_up(address_of(index[s]), taken(entered[s], turn_of(group(index[s]))));
                end
            end
            always_comb if (started) begin
                assert (next < TOTAL && dut.next == address_of(next));
                assert (dut.turn == turn_of(group(next)));
                for (int g = 0; g < GROUPS; g++) begin
                    assert (group(next) != g || dut.count == next - g * FOLD_IN);
                    assert (group(next) != g || dut.base == g / TURNS * FOLD_IN);
                end
                assert (dut.valid == valid[LAST:0]);
                assert (!valid[0] || bits == taken(entered[0], turn_of(group(index[0]))));
                for (int s = 1; s <= DELAY; s++) assert (!valid[s] || pipeline[s-1] == given[s]);
                for (int s = 0; s < LATENCY; s++) begin
                    assert (known[s] || following[s] == 0);
                    assert (!valid[s] || (known[s] && index[s] == (following[s] == 0 ? TOTAL - 1 : following[s] - 1)));
                    assert (s == 0 || known[s-1] || !known[s]);
                    assert (s == 0 || valid[s-1] || known[s-1] == known[s]);
                end
                for (int s = 0; s <= LAST; s++) begin
                    assert (!valid[s] || (dut.opens[s] == opens(index[s]) && dut.closes[s] == closes(index[s])
                                          && dut.shifts[s] == begins(index[s])));
                    assert (!valid[s] || sum[s] == advanced(sum[s+1], entered[s], index[s]));
                    assert (valid[s] || !known[s] || sum[s] == sum[s+1]);
                end
                assert (dut.constant_address == to_begin(following[LAST]));
                assert (!(valid[LAST] && begins(index[LAST]))
                        || dut.constants == dut.constant_rom.words[group(index[LAST])]);
                // The accumulator is the sum without the weight that the turns to come will give it.
                for (int p = 0; p < PE; p++) begin
                    for (int t = 0; t < TURNS; t++) begin
                        assert (!known[LATENCY-1] || turn_of(latest) != t
                                || sum[LATENCY-1][p*ACC+:ACC] == out_data[p*ACC+:ACC] << ((TURNS - 1 - t) * PLANES));
                    end
                end
            end
            if (PLANES > 1) begin : several
                for (genvar p = 0; p < PE; p++) begin : element
                    logic [SUM+PLANES-1:0] total;
                    always_comb begin
                        total = '0;
                        for (int k = 0; k < PLANES; k++)
                            total = total + ((SUM + PLANES)'(given[LAST][(k*PE+p)*SUM+:SUM]) << k);
                        assert (!(started && valid[LAST]) || dut.element[p].total == total);
                    end
                end
            end
        end
    endgenerate
endmodule
