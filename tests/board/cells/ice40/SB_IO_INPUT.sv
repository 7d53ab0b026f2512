// Pin of an iCE40 that is an input without a register (PIN_TYPE 000001; Lattice FPGA-TN-02026, iCE40 Technology Library).
module SB_IO_INPUT (input logic PACKAGE_PIN, output logic D_IN_0);
    assign D_IN_0 = PACKAGE_PIN;
endmodule
