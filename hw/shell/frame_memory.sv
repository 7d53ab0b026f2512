// Holds one frame until it is known to be right: bytes in, and words for the network once it is committed.
//
// PARAMETERS
//   WIDTH    bits of a word; it is the fewest bytes that hold it, the least significant first, bits above are ignored
//   WORDS    words of a frame
//
// PORTS
//   in       bytes of a frame; in_last: this byte is the last one of the frame
//   restart  forget what has been written
//   commit   the frame is whole and right: send it
//   busy     a frame is being sent: bytes are ignored, and so are restart and commit
//   out      stream of words
//
// HANDSHAKE  in has none: a byte is taken in the clock in which in_valid is high. The bytes behind the last one of a
//            frame are written over it from its beginning; whoever sends too many must not commit. out_valid and
//            out_data come from registers; out_ready may depend on them.
// LATENCY    2 clocks from commit to the first word
// THROUGHPUT one word per clock
//
// The memory has one address, which counts what is written and then what is read: a frame never comes while another
// one is sent, so that no word is read while it is written (`no_rw_check`). Its read is clocked, as that of block memory.
module frame_memory #(
    parameter int WIDTH = 8,
    parameter int WORDS = 2
) (
    input  logic clk,
    input  logic rst,
    input  logic in_valid,
    input  logic [7:0] in_data,
    output logic in_last,
    input  logic restart,
    input  logic commit,
    output logic busy,
    output logic out_valid,
    input  logic out_ready,
    output logic [WIDTH-1:0] out_data
);
    localparam int PARTS = (WIDTH + 7) / 8;
    localparam int ADDRESS = WORDS > 1 ? $clog2(WORDS) : 1;
    (* no_rw_check *) logic [WIDTH-1:0] words [0:WORDS-1];
    logic [ADDRESS-1:0] address;
    logic reading, word_valid;
    logic [8*PARTS-1:0] word;
    wire take = in_valid && !busy;
    wire load = reading && (!out_valid || out_ready);
    wire last = address == ADDRESS'(WORDS - 1);
    assign busy = reading || out_valid;

    generate
        if (PARTS == 1) begin : bytes
            assign word_valid = 1'b1;
            assign word = in_data;
        end else begin : parts
            localparam int PART = $clog2(PARTS);
            logic [PART-1:0] part;
            // The last byte goes straight to the memory, the others wait.
            logic [8*(PARTS-1)-1:0] waiting;
            assign word_valid = part == PART'(PARTS - 1);
            assign word = {in_data, waiting};
            always_ff @(posedge clk) begin
                if (rst || restart) part <= '0;
                else if (take) part <= word_valid ? '0 : part + 1'b1;
                if (take) waiting <= (8*(PARTS-1))'({in_data, waiting} >> 8);
            end
        end
    endgenerate
    assign in_last = word_valid && last;

    always_ff @(posedge clk) begin
        if (take && word_valid) words[address] <= word[WIDTH-1:0];
        if (load) out_data <= words[address];
        if (rst) begin
            reading <= 1'b0;
            out_valid <= 1'b0;
            address <= '0;
        end else begin
            if (load) out_valid <= 1'b1;
            else if (out_ready) out_valid <= 1'b0;
            if (!busy && commit) reading <= 1'b1;
            else if (load && last) reading <= 1'b0;
            if (!busy && (restart || commit)) address <= '0;
            else if (load || (take && word_valid)) address <= last ? '0 : address + 1'b1;
        end
    end
endmodule
