// Re-quantisation by thresholds, all compared at once: out = OFFSET + number of thresholds t with in >= t.
//
// PARAMETERS
//   LANES        elements in a word
//   X, X_SIGNED  bits of an input, and whether it is two's complement
//   T            bits of a threshold, two's complement: every value of the input fits as well
//   COUNT        thresholds of a channel
//   OFFSET       output below the first
//   Y            bits of an output
//   FOLD         words until the thresholds begin anew: channels / LANES, or 1 where one row serves all
//   THRESHOLDS   file of ENTRIES * FOLD words; threshold k of lane i in bits [(i*COUNT + k)*T +: T]
//   ENTRIES      sets of constants, one of which `entry` chooses for each word; their words follow one another
//   STYLE        memory of the thresholds, see rom
//
// PORTS    in, out: streams; entry: set of the word at the door, 0 where there is one set
//
// HANDSHAKE  in_ready depends on out_ready; out_valid and out_data come from registers
// LATENCY    3 clocks
// THROUGHPUT one word per clock
module threshold #(
    parameter int LANES = 1,
    parameter int X = 8,
    parameter bit X_SIGNED = 1,
    parameter int T = 8,
    parameter int COUNT = 7,
    parameter longint OFFSET = 0,
    parameter int Y = 3,
    parameter int FOLD = 1,
    parameter int ENTRIES = 1,
    parameter int ENTRY = ENTRIES > 1 ? $clog2(ENTRIES) : 1,
    parameter THRESHOLDS = "",
    parameter STYLE = "logic"
) (
    input  logic clk,
    input  logic rst,
    input  logic in_valid,
    output logic in_ready,
    input  logic [ENTRY-1:0] entry,
    input  logic [LANES*X-1:0] in_data,
    output logic out_valid,
    input  logic out_ready,
    output logic [LANES*Y-1:0] out_data
);
    localparam int ADDRESS = FOLD * ENTRIES > 1 ? $clog2(FOLD * ENTRIES) : 1;
    localparam int WORD = FOLD > 1 ? $clog2(FOLD) : 1;
    wire advance = !out_valid || out_ready;
    assign in_ready = advance;

    logic [WORD-1:0] word;
    wire [ADDRESS-1:0] address = ADDRESS'(word) + (ENTRIES > 1 ? ADDRESS'(entry) * ADDRESS'(FOLD) : '0);
    logic [1:0] valid;
    logic [LANES*X-1:0] x;
    logic [LANES*COUNT*T-1:0] thresholds;
    rom #(.WIDTH(LANES*COUNT*T), .WORDS(FOLD*ENTRIES), .FILE(THRESHOLDS), .STYLE(STYLE)) table_rom
        (.clk(clk), .enable(advance), .address(address), .data(thresholds));
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
            logic signed [T-1:0] value;
            logic [COUNT-1:0] reached, counted;
            logic [Y-1:0] y;
            if (X_SIGNED) begin : two
                assign value = T'($signed(x[i*X+:X]));
            end else begin : magnitude
                assign value = T'(x[i*X+:X]);
            end
            for (genvar k = 0; k < COUNT; k++) begin : compare
                assign reached[k] = value >= $signed(thresholds[(i*COUNT+k)*T+:T]);
            end
            always_comb begin
                y = Y'(OFFSET);
                for (int k = 0; k < COUNT; k++) y = y + Y'(counted[k]);
            end
            always_ff @(posedge clk) begin
                if (advance) begin
                    counted <= reached;
                    out_data[i*Y+:Y] <= y;
                end
            end
        end
    endgenerate
endmodule
