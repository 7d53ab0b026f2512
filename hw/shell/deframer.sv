// Packets from a line of bytes: takes flags and escapes out (RFC 1662, octet-stuffed framing).
//
// PORTS
//   in     bytes of the line
//   out    bytes of a packet, its checksum among them
//   ended  a flag behind at least one byte; with it aborted: an escape was left open, the packet is not whole
//
// HANDSHAKE  none: every byte is taken in the clock in which in_valid is high; out_valid and ended are high for that
//            clock alone
// LATENCY    none: outputs depend on in_valid and in_data without a register
//
// What comes before the first flag belongs to no packet, and flags side by side hold none.
module deframer (
    input  logic clk,
    input  logic rst,
    input  logic in_valid,
    input  logic [7:0] in_data,
    output logic out_valid,
    output logic [7:0] out_data,
    output logic ended,
    output logic aborted
);
    localparam logic [7:0] FLAG = 8'h7E, ESCAPE = 8'h7D;
    // `synchronised`: a flag has come; `begun`: and a byte behind it; `escaped`: the last one was an escape.
    logic synchronised, begun, escaped;
    wire is_flag = in_data == FLAG;
    wire is_escape = in_data == ESCAPE && !escaped;
    assign out_valid = in_valid && synchronised && !is_flag && !is_escape;
    assign out_data = in_data ^ {2'b0, escaped, 5'b0};
    assign ended = in_valid && is_flag && begun;
    assign aborted = escaped;

    always_ff @(posedge clk) begin
        if (rst) {synchronised, begun, escaped} <= '0;
        else if (in_valid) begin
            synchronised <= synchronised || is_flag;
            begun <= synchronised && !is_flag;
            escaped <= synchronised && is_escape;
        end
    end
endmodule
