// Pin of an iCE40 that is an output without a register (PIN_TYPE 011001; Lattice FPGA-TN-02026, iCE40 Technology Library).
module SB_IO_OUTPUT (input logic D_OUT_0, output logic PACKAGE_PIN);
    assign PACKAGE_PIN = D_OUT_0;
endmodule
