// Serial receiver: 8 data bits, no parity, 1 stop bit, least significant bit first.
//
// PARAMETERS
//   CLOCKS   clocks of one bit, 4 or more: clock frequency / baud rate, rounded
//
// PORTS    rx: the line, which rests at 1; valid, data: a byte, for one clock; line_break: the line was at 0 for the
//          ten bits of a byte, for one clock: no byte does that
//
// HANDSHAKE  none: a byte must be taken in the clock in which `valid` is high
// LATENCY    `valid` comes in the middle of the stop bit; a byte whose stop bit is 0 is dropped
module uart_rx #(
    parameter int CLOCKS = 217
) (
    input  logic clk,
    input  logic rst,
    input  logic rx,
    output logic valid,
    output logic line_break,
    output logic [7:0] data
);
    localparam int COUNT = $clog2(CLOCKS);
    // The line belongs to another clock: two registers before anything looks at it.
    logic [1:0] sampled;
    logic [COUNT-1:0] wait_for;
    // Bits still to come: 10 in the start bit, 1 in the stop bit, 0 between bytes.
    logic [3:0] left;

    always_ff @(posedge clk) begin
        sampled <= {sampled[0], rx};
        valid <= 1'b0;
        line_break <= 1'b0;
        if (rst) left <= '0;
        else if (left == 0) begin
            // From the edge to the middle of the start bit.
            wait_for <= COUNT'(CLOCKS / 2 - 1);
            if (!sampled[1]) left <= 4'd10;
        end else if (wait_for != 0) wait_for <= wait_for - 1'b1;
        else begin
            wait_for <= COUNT'(CLOCKS - 1);
            left <= left - 1'b1;
            // A start bit shorter than half of one was noise.
            if (left == 4'd10 && sampled[1]) left <= '0;
            if (left == 4'd1) begin
                valid <= sampled[1];
                line_break <= !sampled[1] && data == '0;
            end
            if (left != 4'd10 && left != 4'd1) data <= {sampled[1], data[7:1]};
        end
    end
endmodule
