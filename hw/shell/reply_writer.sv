// Writes replies: a header, and behind it the identity of the device or what the network answers.
//
// PARAMETERS
//   BYTES      of the network's answer, 1 to 65535
//   IDENTITY   16 bytes, the first one in the lowest bits
//
// PORTS
//   reply_valid  answer with `code` and `number`; taken when `room` is high, else lost
//   room         no header is waiting
//   answering    an answer of the network is owed or under way
//   answer       stream of its bytes
//   out          stream of the bytes of a packet without its checksum; out_last with the last one
//
// HANDSHAKE  out_valid and out_data depend on answer_valid and answer_data, answer_ready on out_ready
// LATENCY    1 clock from reply_valid to the header
// THROUGHPUT one byte per clock
//
// The header of the next reply may wait while a payload is under way, so that a request in the meantime gets a reply.
module reply_writer #(
    parameter int BYTES = 1,
    parameter logic [127:0] IDENTITY = '0
) (
    input  logic clk,
    input  logic rst,
    input  logic reply_valid,
    input  logic [3:0] code,
    input  logic [7:0] number,
    output logic room,
    output logic answering,
    input  logic answer_valid,
    output logic answer_ready,
    input  logic [7:0] answer_data,
    output logic out_valid,
    input  logic out_ready,
    output logic [7:0] out_data,
    output logic out_last
);
    // The first byte: a reply of protocol version 1, and its code; those from 8 on are errors, without a payload.
    localparam logic [3:0] REPLY = 4'h9;
    localparam logic [3:0] ANSWER = 4'h1;
    localparam int INDEX = BYTES > 16 ? $clog2(BYTES) : 4;
    // `owed`: a header waits or is under way, `part` of it comes next; `paying`: a payload is, byte `index` comes next.
    logic owed, paying, identity;
    logic [1:0] part;
    logic [INDEX-1:0] index;
    logic [3:0] owed_code;
    logic [7:0] owed_number;
    logic [15:0] length;
    wire pass = out_valid && out_ready;
    assign room = !owed;
    assign answering = (owed && owed_code == ANSWER) || (paying && !identity);
    assign length = owed_code[3] ? 16'd0 : owed_code == ANSWER ? 16'(BYTES) : 16'd16;
    assign out_valid = paying ? identity || answer_valid : owed;
    assign answer_ready = out_ready && paying && !identity;

    always_comb begin
        if (paying) begin
            out_data = identity ? IDENTITY[8*index[3:0]+:8] : answer_data;
            out_last = index == (identity ? INDEX'(15) : INDEX'(BYTES - 1));
        end else begin
            case (part)
                2'd0: out_data = {REPLY, owed_code};
                2'd1: out_data = owed_number;
                2'd2: out_data = length[7:0];
                default: out_data = length[15:8];
            endcase
            out_last = owed_code[3] && part == 2'd3;
        end
    end

    always_ff @(posedge clk) begin
        if (room) begin
            owed_code <= code;
            owed_number <= number;
        end
        if (rst) begin
            {owed, paying, identity} <= '0;
            part <= '0;
            index <= '0;
        end else begin
            if (room) owed <= reply_valid;
            if (pass && paying) begin
                index <= out_last ? '0 : index + 1'b1;
                paying <= !out_last;
            end else if (pass) begin
                part <= part + 1'b1;
                if (part == 2'd3) begin
                    owed <= 1'b0;
                    paying <= !owed_code[3];
                    identity <= owed_code != ANSWER;
                end
            end
        end
    end
endmodule
