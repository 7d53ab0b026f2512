// Properties of threshold: for every word that enters, one leaves, LATENCY clocks later (those aside in which an
// output waits), in order, and it is OFFSET + the number of thresholds that the input has reached; an offered word
// stays until it is taken. For all thresholds (arbitrary/rom.sv), sorted or not.
//
// ENVIRONMENT  any source, any sink, any entry below ENTRIES; a reset in the first clock, and whenever it likes
//              afterwards
// SPECIFICATION  a delay line of what entered, which stands still while an output waits
module threshold_properties #(
    parameter int LANES = 1,
    parameter int X = 3,
    parameter bit X_SIGNED = 1,
    parameter int T = 4,
    parameter int COUNT = 3,
    parameter int OFFSET = 0,
    parameter int Y = 2,
    parameter int FOLD = 1,
    parameter int ENTRIES = 1,
    parameter bit INSIDE = 1
) (
    input logic clk,
    input logic rst,
    input logic in_valid,
    input logic [(ENTRIES > 1 ? $clog2(ENTRIES) : 1)-1:0] entry,
    input logic [LANES*X-1:0] in_data,
    input logic out_ready,
    output logic reached
);
    localparam int LATENCY = 3;
    localparam int ROWS = FOLD * ENTRIES;
    typedef logic [LANES*COUNT*T-1:0] row_t;
    logic in_ready, out_valid;
    logic [LANES*Y-1:0] out_data;
    threshold #(
        .LANES(LANES), .X(X), .X_SIGNED(X_SIGNED), .T(T), .COUNT(COUNT), .OFFSET(OFFSET), .Y(Y), .FOLD(FOLD),
        .ENTRIES(ENTRIES)
    ) dut (.*);

    function automatic int element(input logic [LANES*X-1:0] word, input int lane);
        return X_SIGNED ? 32'($signed(word[lane*X+:X])) : 32'(word[lane*X+:X]);
    endfunction

    function automatic bit reaches(input logic [LANES*X-1:0] word, input row_t row, input int lane, input int k);
        return element(word, lane) >= 32'($signed(row[(lane*COUNT+k)*T+:T]));
    endfunction

    function automatic logic [LANES*Y-1:0] specified(input logic [LANES*X-1:0] word, input row_t row);
        int y;
        for (int i = 0; i < LANES; i++) begin
            y = OFFSET;
            for (int k = 0; k < COUNT; k++) y = y + 32'(reaches(word, row, i, k));
            specified[i*Y+:Y] = Y'(y);
        end
    endfunction

    logic started = 0;
    logic [$clog2(FOLD+1)-1:0] word;
    logic [LATENCY-1:0] valid;
    logic [LATENCY-1:0][LANES*X-1:0] entered;
    logic [LATENCY-1:0][$clog2(ROWS+1)-1:0] row;
    row_t [LATENCY-1:0] thresholds;
    always_comb for (int s = 0; s < LATENCY; s++) thresholds[s] = dut.table_rom.words[row[s]];
    wire move = !valid[LATENCY-1] || out_ready;
    logic offered;
    logic [LANES*Y-1:0] shown;
    logic [$clog2(FOLD+1)-1:0] left;
    always_ff @(posedge clk) begin
        started <= 1'b1;
        if (rst) begin
            word <= '0;
            valid <= '0;
        end else if (move) begin
            valid <= {valid[LATENCY-2:0], in_valid};
            if (in_valid) word <= word == FOLD - 1 ? '0 : word + 1'b1;
        end
        if (move) begin
            entered <= {entered[LATENCY-2:0], in_data};
            row <= {row[LATENCY-2:0], ($clog2(ROWS + 1))'(entry * FOLD + word)};
        end
        offered <= !rst && out_valid && !out_ready;
        shown <= out_data;
        // Words that have left: one more than a whole turn of the thresholds shows that they begin anew.
        left <= rst || !started ? '0 : left + ($clog2(FOLD + 1))'(out_valid && out_ready && left != FOLD);
    end
    assign reached = started && left == FOLD && valid == '1 && offered;

    always_comb begin
        assume (started || rst);
        assume (entry < ENTRIES);
        if (started) begin
            assert (in_ready == move);
            assert (out_valid == valid[LATENCY-1]);
            assert (!out_valid || out_data == specified(entered[LATENCY-1], thresholds[LATENCY-1]));
            assert (!offered || (out_valid && out_data == shown));
            assert (dut.address < ROWS);
        end
    end

    // The same at the stages in between, which closes the induction.
    generate
        if (INSIDE) begin : stages
            always_comb if (started) begin
                assert (word < FOLD && dut.word == word);
                assert (dut.valid == valid[1:0]);
                for (int s = 0; s < LATENCY; s++) assert (!valid[s] || row[s] < ROWS);
                if (valid[0]) begin
                    assert (dut.x == entered[0]);
                    assert (dut.thresholds == thresholds[0]);
                end
            end
            for (genvar i = 0; i < LANES; i++) begin : lane
                always_comb begin
                    for (int k = 0; k < COUNT; k++) begin
                        assert (!(started && valid[1])
                                || dut.element[i].counted[k] == reaches(entered[1], thresholds[1], i, k));
                    end
                end
            end
        end
    endgenerate
endmodule
