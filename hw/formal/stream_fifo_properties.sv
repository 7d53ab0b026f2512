// Properties of stream_fifo: no word is lost, repeated, changed or overtaken; it holds DEPTH words, no more and no
// fewer; a word waits LATENCY clocks and no longer; an offered word stays until it is taken.
//
// ENVIRONMENT  any source, any sink; a reset in the first clock, and whenever it likes afterwards
// SPECIFICATION  a count of the words inside, and one word, whichever `watch` picks, with the number of words
//                before it: when those have left, it is the one that leaves
module stream_fifo_properties #(
    parameter int WIDTH = 2,
    parameter int DEPTH = 2,
    parameter bit INSIDE = 1
) (
    input logic clk,
    input logic rst,
    input logic in_valid,
    input logic [WIDTH-1:0] in_data,
    input logic out_ready,
    input logic watch,
    output logic reached
);
    // Beyond 64 words lies a block memory, whose word in front passes one more register.
    localparam bit BLOCK = DEPTH > 64;
    typedef logic [$clog2(DEPTH+2)-1:0] count_t;
    logic in_ready, out_valid;
    logic [WIDTH-1:0] out_data;
    stream_fifo #(.WIDTH(WIDTH), .DEPTH(DEPTH)) dut (.*);
    wire push = in_valid && in_ready;
    wire pop = out_valid && out_ready;

    logic started = 0;
    count_t count, ahead, left;
    logic alone, watching, offered;
    logic [WIDTH-1:0] expected, shown;
    assign left = count - count_t'(pop);
    always_ff @(posedge clk) begin
        started <= 1'b1;
        count <= rst ? '0 : left + count_t'(push);
        // The only word inside has come in the clock before.
        alone <= !rst && push && left == 0;
        if (rst) watching <= 1'b0;
        else if (push && watch && !watching) begin
            watching <= 1'b1;
            ahead <= left;
            expected <= in_data;
        end else if (watching && pop) begin
            watching <= ahead != 0;
            ahead <= ahead - 1'b1;
        end
        offered <= !rst && out_valid && !out_ready;
        shown <= out_data;
    end
    // A watched word leaves a FIFO that was full.
    logic was_full;
    always_ff @(posedge clk) was_full <= !rst && (was_full || (watching && count == count_t'(DEPTH)));
    assign reached = started && was_full && watching && pop && ahead == 0;

    always_comb begin
        assume (started || rst);
        if (started) begin
            assert (count <= count_t'(DEPTH));
            assert (in_ready == (count != count_t'(DEPTH)));
            assert (out_valid == (count != 0 && !(BLOCK && alone)));
            assert (!offered || (out_valid && out_data == shown));
            assert (!watching || ahead < count);
            assert (!(watching && ahead == 0 && out_valid) || out_data == expected);
        end
    end

    // The same in words of the module's registers, which closes the induction.
    logic [WIDTH-1:0] found;
    generate
        if (!INSIDE) begin : outside
            assign found = expected;
        end else if (DEPTH <= 2) begin : registers
            assign found = ahead == 0 ? dut.registers.front : dut.registers.back;
        end else begin : memory
            localparam int WORDS = BLOCK ? DEPTH - 1 : DEPTH;
            count_t place, next_write, held;
            // Places are counted round: each is below twice the number of words.
            function automatic count_t rounded(input logic [$bits(count_t):0] sum);
                return count_t'(sum >= ($bits(count_t) + 1)'(WORDS) ? sum - ($bits(count_t) + 1)'(WORDS) : sum);
            endfunction
            if (BLOCK) begin : block
                assign held = count - count_t'(dut.memory.block.full);
                assign place = rounded(dut.memory.read_address + ahead - dut.memory.block.full);
                assign found = dut.memory.block.full && ahead == 0 ? dut.memory.block.front
                                                                   : dut.memory.block.words[place];
                always_comb if (started) begin
                    assert (dut.memory.block.full == (count != 0 && !alone));
                    assert (dut.memory.block.held == held);
                    assert (!alone || count == 1);
                    // What `no_rw_check` promises.
                    assert (!(push && dut.memory.block.load && dut.memory.write_address == dut.memory.read_address));
                end
            end else begin : distributed
                assign held = count;
                assign place = rounded(dut.memory.read_address + ahead);
                assign found = dut.memory.distributed.words[place];
            end
            assign next_write = rounded(dut.memory.read_address + held);
            always_comb if (started) begin
                assert (dut.memory.read_address < WORDS);
                assert (dut.memory.write_address == next_write);
            end
        end
    endgenerate
    always_comb if (started && INSIDE) begin
        assert (dut.count == count);
        assert (!watching || found == expected);
    end
endmodule
