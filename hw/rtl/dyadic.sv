// Re-quantisation by a multiply and a shift, rounding half up and clamping:
//   out = clamp((in * multiplier + constant) >> shift),  constant = bias + 2^(shift - 1)
//
// PARAMETERS
//   LANES        elements in a word
//   X, X_SIGNED  bits of an input, and whether it is two's complement
//   M, C, S      bits of a multiplier and of a constant, two's complement, and of a shift, unsigned
//   WIDE         bits that hold every in * multiplier + constant, two's complement
//   Y            bits of an output
//   LOW, HIGH    its least and greatest value
//   FOLD         words until the constants begin anew: channels / LANES, or 1 where one entry serves all
//   CONSTANTS    file of ENTRIES * FOLD words; the entry of lane i, {shift, constant, multiplier}, in bits
//                [i*(M+C+S) +: M+C+S]
//   ENTRIES      sets of constants, one of which `entry` chooses for each word; their words follow one another
//   STYLE        memory of the constants, see rom
//
// PORTS    in, out: streams; entry: set of the word at the door, 0 where there is one set
//
// HANDSHAKE  in_ready depends on out_ready; out_valid and out_data come from registers
// LATENCY    4 clocks
// THROUGHPUT one word per clock
module dyadic #(
    parameter int LANES = 1,
    parameter int X = 16,
    parameter bit X_SIGNED = 1,
    parameter int M = 16,
    parameter int C = 32,
    parameter int S = 5,
    parameter int WIDE = 32,
    parameter int Y = 8,
    parameter longint LOW = -128,
    parameter longint HIGH = 127,
    parameter int FOLD = 1,
    parameter int ENTRIES = 1,
    parameter int CHOICE = ENTRIES > 1 ? $clog2(ENTRIES) : 1,
    parameter CONSTANTS = "",
    parameter STYLE = "logic"
) (
    input  logic clk,
    input  logic rst,
    input  logic in_valid,
    output logic in_ready,
    input  logic [CHOICE-1:0] entry,
    input  logic [LANES*X-1:0] in_data,
    output logic out_valid,
    input  logic out_ready,
    output logic [LANES*Y-1:0] out_data
);
    localparam int ADDRESS = FOLD * ENTRIES > 1 ? $clog2(FOLD * ENTRIES) : 1;
    localparam int WORD = FOLD > 1 ? $clog2(FOLD) : 1;
    localparam int ENTRY = M + C + S;
    wire advance = !out_valid || out_ready;
    assign in_ready = advance;

    logic [WORD-1:0] word;
    wire [ADDRESS-1:0] address = ADDRESS'(word) + (ENTRIES > 1 ? ADDRESS'(entry) * ADDRESS'(FOLD) : '0);
    logic [2:0] valid;
    logic [LANES*X-1:0] x;
    logic [LANES*ENTRY-1:0] entries;
    rom #(.WIDTH(LANES*ENTRY), .WORDS(FOLD*ENTRIES), .FILE(CONSTANTS), .STYLE(STYLE)) table_rom
        (.clk(clk), .enable(advance), .address(address), .data(entries));
    always_ff @(posedge clk) begin
        if (rst) begin
            word <= '0;
            {out_valid, valid} <= '0;
        end else if (advance) begin
            if (in_valid) word <= word == WORD'(FOLD - 1) ? '0 : word + 1'b1;
            {out_valid, valid} <= {valid, in_valid};
        end
        if (advance) x <= in_data;
    end

    generate
        for (genvar i = 0; i < LANES; i++) begin : element
            logic signed [WIDE-1:0] value, wide, shifted;
            logic signed [M-1:0] multiplier;
            logic signed [C-1:0] constant;
            logic [S-1:0] shift, kept_shift;
            logic signed [C-1:0] kept_constant;
            logic signed [WIDE-1:0] product;
            assign {shift, constant, multiplier} = entries[i*ENTRY+:ENTRY];
            if (X_SIGNED) begin : two
                assign value = WIDE'($signed(x[i*X+:X]));
            end else begin : magnitude
                assign value = WIDE'(x[i*X+:X]);
            end
            assign wide = product + WIDE'(kept_constant);
            always_ff @(posedge clk) begin
                if (advance) begin
                    product <= value * WIDE'(multiplier);
                    kept_constant <= constant;
                    kept_shift <= shift;
                    shifted <= wide >>> kept_shift;
                    out_data[i*Y+:Y] <= shifted < WIDE'(LOW)  ? Y'(LOW)
                                      : shifted > WIDE'(HIGH) ? Y'(HIGH)
                                                              : Y'(shifted);
                end
            end
        end
    endgenerate
endmodule
