// Sum or maximum over windows that do not overlap, from partial results of a row of outputs.
//
// PARAMETERS
//   LANES        elements in a word
//   X, X_SIGNED  bits of an input, and whether it is two's complement
//   ROWS_IN, COLUMNS_IN   size of the frame
//   FOLD         words of a pixel
//   KERNEL_H, KERNEL_W    window, and stride; rows and columns that fill no window are dropped
//   MAX          1: greatest; 0: sum
//   Y            bits of an output, as signed as the input
//
// PORTS    in, out: streams of words, pixel by pixel, rows first
//
// HANDSHAKE  in_ready depends on out_ready; out_valid and out_data come from registers
// LATENCY    1 clock from the last word of a window
// THROUGHPUT one word of the input per clock
module pool_rows #(
    parameter int LANES = 1,
    parameter int X = 8,
    parameter bit X_SIGNED = 0,
    parameter int ROWS_IN = 4,
    parameter int COLUMNS_IN = 4,
    parameter int FOLD = 1,
    parameter int KERNEL_H = 2,
    parameter int KERNEL_W = 2,
    parameter bit MAX = 0,
    parameter int Y = 10
) (
    input  logic clk,
    input  logic rst,
    input  logic in_valid,
    output logic in_ready,
    input  logic [LANES*X-1:0] in_data,
    output logic out_valid,
    input  logic out_ready,
    output logic [LANES*Y-1:0] out_data
);
    localparam int COLUMNS_OUT = COLUMNS_IN / KERNEL_W;
    localparam int ROWS_OUT = ROWS_IN / KERNEL_H;
    localparam int WORDS = COLUMNS_OUT * FOLD;
    localparam int ADDRESS = WORDS > 1 ? $clog2(WORDS) : 1;
    localparam int WORD = $clog2(FOLD + 1);
    localparam int TAP_Y = $clog2(KERNEL_H + 1);
    localparam int TAP_X = $clog2(KERNEL_W + 1);
    localparam int ROW = $clog2(ROWS_IN + 1);
    localparam int COLUMN = $clog2(COLUMNS_IN + 1);
    logic [WORD-1:0] word;
    logic [TAP_Y-1:0] tap_y;
    logic [TAP_X-1:0] tap_x;
    logic [ROW-1:0] row;
    logic [COLUMN-1:0] column;
    // First word of the column of outputs.
    logic [ADDRESS-1:0] corner;
    wire [ADDRESS-1:0] address = corner + ADDRESS'(word);

    wire advance = !out_valid || out_ready;
    wire step = in_valid && advance;
    assign in_ready = advance;
    wire used = row < ROW'(ROWS_OUT * KERNEL_H) && column < COLUMN'(COLUMNS_OUT * KERNEL_W);
    wire first = tap_y == 0 && tap_x == 0;
    wire word_end = word == WORD'(FOLD - 1);
    wire tap_x_end = tap_x == TAP_X'(KERNEL_W - 1);
    wire tap_y_end = tap_y == TAP_Y'(KERNEL_H - 1);
    wire column_end = column == COLUMN'(COLUMNS_IN - 1);
    wire row_end = row == ROW'(ROWS_IN - 1);

    always_ff @(posedge clk) begin
        if (rst) begin
            {word, tap_y, tap_x, row, column, corner} <= '0;
            out_valid <= 1'b0;
        end else begin
            if (advance) out_valid <= step && used && tap_x_end && tap_y_end;
            if (step) word <= word_end ? '0 : word + 1'b1;
            if (step && word_end) begin
                column <= column_end ? '0 : column + 1'b1;
                tap_x <= column_end || tap_x_end ? '0 : tap_x + 1'b1;
                // Beyond the last window it does not matter.
                corner <= column_end ? '0 : tap_x_end ? corner + ADDRESS'(FOLD) : corner;
                if (column_end) begin
                    row <= row_end ? '0 : row + 1'b1;
                    tap_y <= row_end || tap_y_end ? '0 : tap_y + 1'b1;
                end
            end
        end
    end

    (* ram_style = "distributed" *) logic [LANES*Y-1:0] partial [0:WORDS-1];
    logic [LANES*Y-1:0] kept, next;
    assign kept = partial[address];
    generate
        for (genvar i = 0; i < LANES; i++) begin : element
            logic signed [Y:0] value, earlier;
            if (X_SIGNED) begin : two
                assign value = (Y + 1)'($signed(in_data[i*X+:X]));
                assign earlier = (Y + 1)'($signed(kept[i*Y+:Y]));
            end else begin : magnitude
                assign value = (Y + 1)'(in_data[i*X+:X]);
                assign earlier = (Y + 1)'(kept[i*Y+:Y]);
            end
            if (MAX) begin : greatest
                assign next[i*Y+:Y] = first || value > earlier ? Y'(value) : kept[i*Y+:Y];
            end else begin : sum
                assign next[i*Y+:Y] = first ? Y'(value) : Y'(earlier + value);
            end
        end
    endgenerate
    always_ff @(posedge clk) begin
        if (step && used) partial[address] <= next;
        if (step) out_data <= next;
    end
endmodule
