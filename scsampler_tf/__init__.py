"""SCSampler (Korbar, Tran, Torresani, ICCV 2019) on Keras: score every clip cheaply, classify only the salient."""
