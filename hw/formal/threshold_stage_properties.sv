// Properties of threshold_stage: for every word that enters, one leaves, 1 clock later (those aside in which an output
// waits), in order; each lane's number has one more bit, which says whether the value has reached the threshold
// that its number so far chooses; an offered word stays until it is taken. For all thresholds (arbitrary/rom.sv).
//
// ENVIRONMENT  any source, any sink; a reset in the first clock, and whenever it likes afterwards
// SPECIFICATION  what entered last, and the place of its thresholds
module threshold_stage_properties #(
    parameter int LANES = 2,
    parameter int X = 2,
    parameter bit X_SIGNED = 1,
    parameter int T = 3,
    parameter int STAGE = 1,
    parameter bit LAST = 0,
    parameter int OFFSET = 0,
    parameter int Y = 3,
    parameter int FOLD = 2,
    parameter bit INSIDE = 1
) (
    input logic clk,
    input logic rst,
    input logic in_valid,
    input logic [LANES*(STAGE+X)-1:0] in_data,
    input logic out_ready,
    output logic reached
);
    localparam int IN = STAGE + X;
    localparam int OUT = LAST ? Y : IN + 1;
    logic in_ready, out_valid;
    logic [LANES*OUT-1:0] out_data;
    threshold_stage #(
        .LANES(LANES), .X(X), .X_SIGNED(X_SIGNED), .T(T), .STAGE(STAGE), .LAST(LAST), .OFFSET(OFFSET), .Y(Y),
        .FOLD(FOLD)
    ) dut (.*);

    logic started = 0;
    logic [$clog2(FOLD+1)-1:0] word, row;
    logic valid;
    logic [LANES*IN-1:0] entered;
    wire move = !valid || out_ready;
    logic offered;
    logic [LANES*OUT-1:0] shown, specified;
    logic [$clog2(FOLD+1)-1:0] left;

    generate
        for (genvar i = 0; i < LANES; i++) begin : lane
            wire [X-1:0] value = entered[i*IN+:X];
            wire [STAGE:0] known = (STAGE + 1)'(entered[i*IN+:IN] >> X);
            wire [31:0] place = (((32'(row) << $clog2(LANES)) + i) << STAGE) + 32'(known);
            wire [T-1:0] threshold = dut.lane[i].table_rom.words[place];
            wire signed [31:0] meant = X_SIGNED ? 32'($signed(value)) : 32'(value);
            wire above = meant >= 32'($signed(threshold));
            wire [STAGE:0] number = (STAGE + 1)'({known, above});
            if (LAST) begin : last
                assign specified[i*OUT+:OUT] = Y'(OFFSET + 32'(number));
            end else begin : more
                assign specified[i*OUT+:OUT] = {number, value};
            end
            if (INSIDE) begin : held
                always_comb if (started) begin
                    assert (!valid || (dut.lane[i].kept == entered[i*IN+:IN] && dut.lane[i].threshold == threshold));
                end
            end
        end
    endgenerate

    always_ff @(posedge clk) begin
        started <= 1'b1;
        if (rst) begin
            word <= '0;
            valid <= 1'b0;
        end else if (move) begin
            valid <= in_valid;
            if (in_valid) word <= word == FOLD - 1 ? '0 : word + 1'b1;
        end
        if (move) begin
            entered <= in_data;
            row <= word;
        end
        offered <= !rst && out_valid && !out_ready;
        shown <= out_data;
        // Words that have left: one more than a whole turn of the thresholds shows that they begin anew.
        left <= rst || !started ? '0 : left + ($clog2(FOLD + 1))'(out_valid && out_ready && left != FOLD);
    end
    assign reached = started && left == FOLD && valid && offered;

    always_comb begin
        assume (started || rst);
        if (started) begin
            assert (in_ready == move);
            assert (out_valid == valid);
            assert (!out_valid || out_data == specified);
            assert (!offered || (out_valid && out_data == shown));
        end
    end

    // What closes the induction.
    generate
        if (INSIDE) begin : counters
            always_comb if (started) begin
                assert (word < FOLD && dut.word == word);
                assert (!valid || row < FOLD);
            end
        end
    endgenerate
endmodule
