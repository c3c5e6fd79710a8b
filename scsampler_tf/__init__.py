"""SCSampler (Korbar, Tran, Torresani, ICCV 2019) on Keras: score all clips, classify the salient."""
