// Serial transmitter: 8 data bits, no parity, 1 stop bit, least significant bit first.
//
// PARAMETERS
//   CLOCKS   clocks of one bit, 2 or more: clock frequency / baud rate, rounded
//
// PORTS    in: stream of bytes (valid, ready, data); tx: the line, which rests at 1
//
// HANDSHAKE  in_ready is high between bytes and depends on registers alone
// LATENCY    1 clock from the byte to its start bit
// THROUGHPUT one byte in 10 * CLOCKS + 1 clocks
module uart_tx #(
    parameter int CLOCKS = 217
) (
    input  logic clk,
    input  logic rst,
    input  logic in_valid,
    output logic in_ready,
    input  logic [7:0] in_data,
    output logic tx
);
    localparam int COUNT = $clog2(CLOCKS);
    logic [COUNT-1:0] wait_for;
    // Bits not yet over: start bit, data, stop bit.
    logic [3:0] left;
    logic [8:0] bits;
    assign in_ready = left == 0;

    always_ff @(posedge clk) begin
        if (rst) begin
            left <= '0;
            tx <= 1'b1;
        end else if (left == 0) begin
            wait_for <= COUNT'(CLOCKS - 1);
            if (in_valid) begin
                left <= 4'd10;
                tx <= 1'b0;
                bits <= {1'b1, in_data};
            end
        end else if (wait_for != 0) wait_for <= wait_for - 1'b1;
        else begin
            wait_for <= COUNT'(CLOCKS - 1);
            left <= left - 1'b1;
            tx <= bits[0];
            bits <= {1'b1, bits[8:1]};
        end
    end
endmodule
