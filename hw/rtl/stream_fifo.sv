// First in, first out: words between two operators.
//
// PARAMETERS
//   WIDTH    bits of a word
//   DEPTH    words it holds, 1 or more; 2 are enough for one word in every clock
//
// PORTS    in, out: streams (valid, ready, data)
//
// HANDSHAKE  in_ready depends on the words inside alone, out_valid and out_data too: no path leads through.
// LATENCY    1 clock from in to out, 2 for a DEPTH above 64
// THROUGHPUT one word per clock with DEPTH 2 or more
//
// Up to 64 words are read without a clock, which is distributed memory. Deeper ones read a block memory with a
// clock, behind which a register holds the word in front; it counts as one of the DEPTH words.
module stream_fifo #(
    parameter int WIDTH = 8,
    parameter int DEPTH = 2
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
    localparam int COUNT = $clog2(DEPTH + 1);
    logic [COUNT-1:0] count;
    wire push = in_valid && in_ready;
    wire pop = out_valid && out_ready;
    assign in_ready = count != COUNT'(DEPTH);

    always_ff @(posedge clk) begin
        if (rst) count <= 0;
        else if (push && !pop) count <= count + 1'b1;
        else if (pop && !push) count <= count - 1'b1;
    end

    generate
        if (DEPTH <= 2) begin : registers
            // The word in front in `front`, the second one in `back`.
            logic [WIDTH-1:0] front, back;
            assign out_valid = count != 0;
            assign out_data = front;
            always_ff @(posedge clk) begin
                if (pop) front <= count == COUNT'(1) ? in_data : back;
                else if (push && count == 0) front <= in_data;
                if (push) back <= in_data;
            end
        end else begin : memory
            localparam int WORDS = DEPTH <= 64 ? DEPTH : DEPTH - 1;
            localparam int ADDRESS = $clog2(WORDS);
            logic [ADDRESS-1:0] write_address, read_address, next_read;
            assign next_read = read_address == ADDRESS'(WORDS - 1) ? '0 : read_address + 1'b1;
            if (DEPTH <= 64) begin : distributed
                logic [WIDTH-1:0] words [0:WORDS-1];
                assign out_valid = count != 0;
                assign out_data = words[read_address];
                always_ff @(posedge clk) begin
                    if (push) words[write_address] <= in_data;
                    if (rst) {write_address, read_address} <= '0;
                    else begin
                        if (push) write_address <= write_address == ADDRESS'(WORDS - 1) ? '0 : write_address + 1'b1;
                        if (pop) read_address <= next_read;
                    end
                end
            end else begin : block
                // `held` words lie in the memory, one may lie in `front`. No word is read while it is written: where
                // none is held none is read, and where all are, `front` is full.
                (* no_rw_check *) logic [WIDTH-1:0] words [0:WORDS-1];
                logic [COUNT-1:0] held;
                logic [WIDTH-1:0] front;
                logic full;
                wire load = (!full || pop) && held != 0;
                assign out_valid = full;
                assign out_data = front;
                always_ff @(posedge clk) begin
                    if (push) words[write_address] <= in_data;
                    if (load) front <= words[read_address];
                    if (rst) begin
                        {write_address, read_address} <= '0;
                        held <= '0;
                        full <= 1'b0;
                    end else begin
                        if (push) write_address <= write_address == ADDRESS'(WORDS - 1) ? '0 : write_address + 1'b1;
                        if (load) read_address <= next_read;
                        if (push && !load) held <= held + 1'b1;
                        else if (load && !push) held <= held - 1'b1;
                        full <= load || (full && !pop);
                    end
                end
            end
        end
    endgenerate
endmodule
