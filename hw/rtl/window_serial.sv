// Sliding window, one kernel tap at a time, from a buffer of whole rows.
//
// For each output pixel it sends, in this order, GROUPS groups of REPEAT times KERNEL_H * KERNEL_W taps of
// FOLD / GROUPS words: what a folded matrix-vector unit reads, REPEAT times over for its folds of outputs. With
// GROUPS = FOLD a group is one word: the order of depthwise convolutions and of pooling. Taps in the padding are 0.
//
// PARAMETERS
//   WIDTH            bits of a word, which holds some channels of a pixel
//   ROWS_IN, COLUMNS_IN     size of the frame
//   FOLD             words of a pixel
//   GROUPS           groups of words of a pixel, a divisor of FOLD
//   KERNEL_H, KERNEL_W, STRIDE_H, STRIDE_W
//   PAD_TOP, PAD_LEFT       zeros before the first row and column; those behind follow from the output's size
//   ROWS_OUT, COLUMNS_OUT   size of the output
//   REPEAT           how often the taps of a group are sent
//   ROWS             rows in the buffer: at least those that a row of outputs needs, and those for the writer to fill
//                    meanwhile
//   STYLE            memory of the buffer: "distributed" or "block"
//
// PORTS    in: stream of words, pixel by pixel, rows first; out: stream of words
//
// HANDSHAKE  in_ready does not depend on out_ready; out_valid and out_data come from registers (a tap in the
//            padding is masked behind its register).
// LATENCY    2 clocks from the last word of the last row that a window needs to its first tap; rows that the windows
//            behind it skip must have come too
// THROUGHPUT one word per clock on each side, as long as there are rows for the reader and room for the writer
module window_serial #(
    parameter int WIDTH = 8,
    parameter int ROWS_IN = 4,
    parameter int COLUMNS_IN = 4,
    parameter int FOLD = 1,
    parameter int GROUPS = 1,
    parameter int KERNEL_H = 3,
    parameter int KERNEL_W = 3,
    parameter int STRIDE_H = 1,
    parameter int STRIDE_W = 1,
    parameter int PAD_TOP = 1,
    parameter int PAD_LEFT = 1,
    parameter int ROWS_OUT = 4,
    parameter int COLUMNS_OUT = 4,
    parameter int REPEAT = 1,
    parameter int ROWS = 4,
    parameter STYLE = "distributed"
) (
    input  logic clk,
    input  logic rst,
    input  logic in_valid,
    output logic in_ready,
    input  logic [WIDTH-1:0] in_data,
    output logic out_valid,
    input  logic out_ready,
    output logic [WIDTH-1:0] out_data
);
    localparam int ROW = COLUMNS_IN * FOLD;
    localparam int TOTAL = ROWS * ROW;
    localparam int ADDRESS = $clog2(TOTAL + 1);
    localparam int GROUP = FOLD / GROUPS;
    localparam int FILLED = $clog2(ROWS + 1);
    // Row and column numbers of the frame with its padding, signed; windows may span less than the frame, or more.
    localparam int SPAN_H = (ROWS_OUT - 1) * STRIDE_H + KERNEL_H;
    localparam int SPAN_W = (COLUMNS_OUT - 1) * STRIDE_W + KERNEL_W;
    localparam int Y = $clog2((SPAN_H > ROWS_IN ? SPAN_H : ROWS_IN) + STRIDE_H + PAD_TOP + 1) + 1;
    localparam int X = $clog2((SPAN_W > COLUMNS_IN ? SPAN_W : COLUMNS_IN) + STRIDE_W + PAD_LEFT + 1) + 1;
    typedef logic [ADDRESS-1:0] address_t;
    typedef logic signed [Y-1:0] y_t;
    typedef logic signed [X-1:0] x_t;

    function automatic address_t advanced(address_t from, address_t by);
        // from + by modulo TOTAL, both below TOTAL.
        logic [ADDRESS:0] sum;
        sum = {1'b0, from} + {1'b0, by};
        return sum >= (ADDRESS + 1)'(TOTAL) ? ADDRESS'(sum - (ADDRESS + 1)'(TOTAL)) : ADDRESS'(sum);
    endfunction

    function automatic y_t clamped(y_t y);
        return y < 0 ? '0 : y > y_t'(ROWS_IN) ? y_t'(ROWS_IN) : y;
    endfunction

    // The buffer. `filled` rows are complete and not released.
    logic [FILLED-1:0] filled, release_count;
    address_t write_address, write_column;
    wire write = in_valid && in_ready;
    wire row_written = write && write_column == address_t'(ROW - 1);
    assign in_ready = filled != FILLED'(ROWS);
    always_ff @(posedge clk) begin
        if (rst) {write_address, write_column} <= '0;
        else if (write) begin
            write_address <= advanced(write_address, address_t'(1));
            write_column <= row_written ? '0 : write_column + 1'b1;
        end
    end

    // Where the reader is: output pixel (out_y, out_x), tap (tap_y, tap_x), word of the group.
    localparam int OUT_Y = $clog2(ROWS_OUT + 1);
    localparam int OUT_X = $clog2(COLUMNS_OUT + 1);
    localparam int TURN = $clog2(REPEAT + 1);
    localparam int TAP_Y = $clog2(KERNEL_H + 1);
    localparam int TAP_X = $clog2(KERNEL_W + 1);
    localparam int WORD = $clog2(FOLD + 1);
    logic [OUT_Y-1:0] out_y;
    logic [OUT_X-1:0] out_x;
    logic [WORD-1:0] group, word;
    logic [TURN-1:0] turn;
    logic [TAP_Y-1:0] tap_y;
    logic [TAP_X-1:0] tap_x;
    wire word_end = word == WORD'(GROUP - 1);
    wire tap_x_end = word_end && tap_x == TAP_X'(KERNEL_W - 1);
    wire tap_y_end = tap_x_end && tap_y == TAP_Y'(KERNEL_H - 1);
    wire turn_end = tap_y_end && turn == TURN'(REPEAT - 1);
    wire pixel_end = turn_end && group == WORD'(GROUPS - 1);
    wire row_end = pixel_end && out_x == OUT_X'(COLUMNS_OUT - 1);

    // Row and column of the window's corner and of the tap, signed: they may lie in the padding.
    y_t top, y;
    x_t left, x;
    // Addresses of the corner's and of the tap's row, and words from the start of a row to the corner and to the
    // tap. In the padding they mean nothing, and what is read there is masked.
    address_t top_address, row_address, corner, offset;
    wire last_row = out_y == OUT_Y'(ROWS_OUT - 1);

    // Rows of the frame that are released, that will be after this row of windows, and that must have come before
    // it: those it reads and those that it releases unread.
    y_t released, release_to, need_to, wanted;
    assign release_to = last_row ? y_t'(ROWS_IN) : clamped(top + y_t'(STRIDE_H));
    assign need_to = clamped(top + y_t'(KERNEL_H));
    assign wanted = (need_to > release_to ? need_to : release_to) - released;
    assign release_count = FILLED'(release_to - released);
    wire go = filled >= FILLED'(wanted);
    wire advance = !out_valid || out_ready;
    wire step = advance && go;

    localparam int ROW_STEP = STRIDE_H % ROWS * ROW;
    localparam int FRAME_STEP = ((ROWS_IN - (ROWS_OUT - 1) * STRIDE_H) % ROWS + ROWS) % ROWS * ROW;
    // The corner of the first window lies PAD_TOP rows before row 0 of the frame, and PAD_LEFT before column 0.
    localparam int FIRST_ROW = (ROWS - PAD_TOP % ROWS) % ROWS * ROW;
    localparam address_t FIRST_CORNER = -address_t'(PAD_LEFT * FOLD);
    localparam y_t FIRST_Y = -y_t'(PAD_TOP);
    localparam x_t FIRST_X = -x_t'(PAD_LEFT);
    address_t next_top, next_corner;
    assign next_top = advanced(top_address, last_row ? address_t'(FRAME_STEP) : address_t'(ROW_STEP));
    // Of the next group; of the next pixel, whose groups begin anew; of the next row.
    assign next_corner = !pixel_end ? corner + address_t'(GROUP)
                       : !row_end   ? corner + address_t'(STRIDE_W * FOLD - (FOLD - GROUP))
                                    : FIRST_CORNER;

    always_ff @(posedge clk) begin
        if (rst) begin
            {out_y, out_x, group, turn, tap_y, tap_x, word} <= '0;
            {top, y} <= {2{FIRST_Y}};
            {left, x} <= {2{FIRST_X}};
            {corner, offset} <= {2{FIRST_CORNER}};
            {top_address, row_address} <= {2{address_t'(FIRST_ROW)}};
            released <= '0;
            filled <= '0;
        end else begin
            filled <= filled + FILLED'(row_written) - (step && row_end ? release_count : '0);
            if (step) begin
                word <= word_end ? '0 : word + 1'b1;
                offset <= offset + address_t'(word_end ? FOLD - GROUP + 1 : 1);
                if (word_end) begin
                    tap_x <= tap_x_end ? '0 : tap_x + 1'b1;
                    x <= tap_x_end ? left : x + 1'b1;
                end
                if (tap_x_end) begin
                    offset <= corner;
                    tap_y <= tap_y_end ? '0 : tap_y + 1'b1;
                    y <= tap_y_end ? top : y + 1'b1;
                    row_address <= tap_y_end ? top_address : advanced(row_address, address_t'(ROW % TOTAL));
                end
                if (tap_y_end) turn <= turn_end ? '0 : turn + 1'b1;
                if (turn_end) begin
                    group <= pixel_end ? '0 : group + 1'b1;
                    {corner, offset} <= {2{next_corner}};
                end
                if (pixel_end) begin
                    out_x <= row_end ? '0 : out_x + 1'b1;
                    {left, x} <= {2{row_end ? FIRST_X : left + x_t'(STRIDE_W)}};
                end
                if (row_end) begin
                    out_y <= last_row ? '0 : out_y + 1'b1;
                    {top, y} <= {2{last_row ? FIRST_Y : top + y_t'(STRIDE_H)}};
                    released <= last_row ? '0 : release_to;
                    {top_address, row_address} <= {2{next_top}};
                end
            end
        end
    end

    // The tap's word, masked behind the memory's register. `go` says that all rows of the window are complete, the
    // writer fills another one: no word that counts is read while it is written (`no_rw_check`).
    logic [WIDTH-1:0] tap;
    logic masked;
    address_t read_address;
    assign read_address = row_address + offset;
    assign out_data = masked ? '0 : tap;
    always_ff @(posedge clk) begin
        if (rst) out_valid <= 1'b0;
        else if (advance) out_valid <= go;
        if (advance) masked <= y < 0 || y >= y_t'(ROWS_IN) || x < 0 || x >= x_t'(COLUMNS_IN);
    end
    generate
        if (STYLE == "block") begin : block
            (* ram_style = "block", no_rw_check *) logic [WIDTH-1:0] words [0:TOTAL-1];
            always_ff @(posedge clk) begin
                if (write) words[write_address] <= in_data;
                if (advance) tap <= words[read_address];
            end
        end else begin : distributed
            (* ram_style = "distributed", no_rw_check *) logic [WIDTH-1:0] words [0:TOTAL-1];
            always_ff @(posedge clk) begin
                if (write) words[write_address] <= in_data;
                if (advance) tap <= words[read_address];
            end
        end
    endgenerate
endmodule
